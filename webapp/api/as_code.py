"""\"This search as code\": the same request as a curl command and as a Python program."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping

Value = str | int | float
Parameters = Mapping[str, Value | Iterable[Value]] | Iterable[tuple[str, Value | Iterable[Value]]]
PATH = "/api/v1/search/"


def as_code(parameters: Parameters, base_url: str, *, token: bool = False) -> dict[str, str]:
    """Programs that repeat one search: ``{"curl": …, "python": …}``.

    ``parameters`` are those of GET /api/v1/search/, by name (a list repeats it) or as pairs. ``base_url``
    is scheme and host, as ``http://localhost:8000``. With ``token`` both programs read the token from the
    environment variable FERRY_TOKEN, for libraries that are not public. Nothing beyond curl and Python's
    standard library is needed.
    """
    pairs = _pairs(parameters)
    address = base_url.rstrip("/") + PATH
    return {"curl": _curl(pairs, address, token), "python": _python(pairs, address, token)}


def _pairs(parameters: Parameters) -> list[tuple[str, str]]:
    """Names and values in order, lists spread out."""
    out: list[tuple[str, str]] = []
    for name, value in parameters.items() if isinstance(parameters, Mapping) else parameters:
        values = [value] if isinstance(value, (str, int, float)) else list(value)
        out.extend((name, str(one)) for one in values)
    return out


def _curl(pairs: list[tuple[str, str]], address: str, token: bool) -> str:
    lines = [f"curl --silent --show-error --fail-with-body --get {shlex.quote(address)}"]
    if token:
        lines.append('  --header "Authorization: Bearer $FERRY_TOKEN"')
    lines += [f"  --data-urlencode {shlex.quote(f'{name}={value}')}" for name, value in pairs]
    return " \\\n".join(lines)


def _python(pairs: list[tuple[str, str]], address: str, token: bool) -> str:
    parameters = "".join(f"    ({name!r}, {value!r}),\n" for name, value in pairs)
    headers = '{"Authorization": "Bearer " + os.environ["FERRY_TOKEN"]}' if token else "{}"
    return (
        "import json\n"
        + ("import os\n" if token else "")
        + "from urllib.parse import urlencode\n"
        + "from urllib.request import Request, urlopen\n\n"
        + f"parameters = [\n{parameters}]\n"
        + f"request = Request({address!r} + '?' + urlencode(parameters), headers={headers})\n"
        + "with urlopen(request) as response:\n"
        + "    answer = json.load(response)\n"
        + 'for hit in answer["hits"]:\n'
        + '    molecule = hit["molecule"]\n'
        + '    print(hit["rank"], round(hit["score"], 3), molecule["name"], molecule["smiles"])\n'
    )
