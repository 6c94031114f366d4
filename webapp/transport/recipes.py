"""The problem at hand as code: curl, Python, and the command line of the science."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from webapp.transport.state import LabState

PATH = "/api/v1/transport/plan/"
LONGEST_BODY = 20_000
PLAN_HINT = "# save the problem first: the download problem.npz of this page"


def recipes(state: LabState, answer: Mapping[str, Any], base_url: str) -> dict[str, str]:
    """Programs that solve it again: ``curl`` and ``python`` (without those where the points are many), ``mlcore``."""
    body = json.dumps(_body(state), ensure_ascii=False)
    address = base_url.rstrip("/") + PATH
    out = {}
    if len(body) <= LONGEST_BODY:
        out["curl"] = (
            f"curl --silent --show-error --fail-with-body {shlex.quote(address)} \\\n  --json {shlex.quote(body)}"
        )
        out["python"] = (
            "import json\nfrom urllib.request import Request, urlopen\n\n"
            f"problem = json.loads({body!r})\n"
            f"request = Request({address!r}, json.dumps(problem).encode(), {{'Content-Type': 'application/json'}})\n"
            "with urlopen(request) as response:\n    answer = json.load(response)\n"
            "print(answer['status']['sentence'])\n"
            "print(answer['numbers'])\n"
        )
    out["mlcore"] = _command(state, answer)
    return out


def _body(state: LabState) -> dict[str, Any]:
    """The problem with numbers as numbers: what a person would write."""
    problem = state.problem()
    for side in ("source", "target"):
        cloud = {name: value for name, value in problem[side].items() if value is not None}
        cloud |= {name: int(cloud[name]) for name in ("n", "seed") if str(cloud.get(name, "")).isdigit()}
        if "shift" in cloud:
            cloud["shift"] = [float(value) for value in cloud["shift"]]
        problem[side] = cloud
    for name in ("cost_parameters", "parameters"):
        problem[name] = {key: _number(value) for key, value in problem[name].items()}
    if "against" in problem:
        other = problem["against"]
        other["parameters"] = {key: _number(value) for key, value in other["parameters"].items()}
    return {name: value for name, value in problem.items() if value not in ({}, None)}


def _number(text: str) -> str | float | int:
    try:
        value = float(text)
    except ValueError:
        return text
    if value in (float("inf"), float("-inf")) or value != value:  # noqa: PLR0124  only NaN differs from itself
        return text
    return int(value) if value.is_integer() and abs(value) < 1e15 else value


def _command(state: LabState, answer: Mapping[str, Any]) -> str:
    files = any(side.by_hand for side in (state.source, state.target))
    words = ["python -m mlcore transport plan"]
    for name, side in (("source", state.source), ("target", state.target)):
        words.append(
            f"--{name} {'problem.npz' if side.by_hand else _sampled(answer['problem'][name]['recipe'])}"
        )
    words.append(f"--cost {answer['problem']['cost']['name']}")
    words += [
        f"--cost-{name} {_shown(value)}" for name, value in answer["problem"]["cost"]["parameters"].items()
    ]
    words.append(f"--solver {answer['solver']['name']}")
    words += [
        f"--{name.replace('_', '-')} {_shown(value)}"
        for name, value in answer["solver"]["parameters"].items()
    ]
    command = " \\\n  ".join([*words, "--out plan.npz"])
    return f"{PLAN_HINT}\n{command}" if files else command


def _sampled(recipe: Mapping[str, Any]) -> str:
    moved = ":".join(f"{value:g}" for value in recipe["shift"])
    return f"{recipe['sample']}:{recipe['n']}:{recipe['seed']}" + (
        f":{moved}" if any(recipe["shift"]) else ""
    )


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
