"""The run at hand as code: curl and Python."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

PATH = "/api/v1/decoding/generate/"


def recipes(request: Mapping[str, Any], base_url: str) -> dict[str, str]:
    """Programs that ask for the same answers."""
    body = json.dumps(request, ensure_ascii=False)
    address = base_url.rstrip("/") + PATH
    return {
        "curl": f"curl --silent --show-error --fail-with-body {shlex.quote(address)} \\\n  --json {shlex.quote(body)}",
        "python": (
            "import json\nfrom urllib.request import Request, urlopen\n\n"
            f"question = json.loads({body!r})\n"
            f"request = Request({address!r}, json.dumps(question).encode(), {{'Content-Type': 'application/json'}})\n"
            "with urlopen(request) as response:\n    answer = json.load(response)\n"
            "for lane in answer['lanes']:\n    print(lane['text'], lane['rates'])\n"
        ),
    }
