"""The form as the template draws it: fields with their values, which one is at fault, which presets there are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from webapp.decoding import presets, wording
from webapp.decoding.known import ALPHA, MOST_LANES, Choice, Known, Option
from webapp.decoding.state import DecodingState

_LANE = re.compile(r"lanes\.(\d+)(?:\.(?:parameters\.)?(\w+))?")
#: the slider of α goes from one power of ten to another
SLIDER = (-3, 1)


def fields(state: DecodingState, known: Known, faulty: str = "") -> dict[str, Any]:
    """Everything that the form shows; ``faulty`` is the door's path to the value it could not use."""
    wrong = field_name(faulty)
    lanes = []
    for number in range(1, MOST_LANES + 1):
        lane = state.lanes[number - 1] if number <= len(state.lanes) else None
        method = known.method(lane.method) if lane else None
        lanes.append(
            {
                "number": number,
                "name": f"m{number}",
                "method": method,
                "chosen": lane.method if lane else "",
                "faulty": wrong == f"m{number}",
                "summary": _summary(method, lane.values) if method and lane else "",
                "open": wrong.startswith(f"m{number}_"),
                "fields": _fields(method.fields, lane.values, f"m{number}_", wrong)
                if method and lane
                else [],
            }
        )
    reward = known.reward(state.reward)
    task = wording.TASKS.get(state.task, wording.TASKS["continue"])
    return {
        "lanes": lanes,
        "task": {"label": task[1], "placeholder": task[2]},
        "reward": reward,
        "reward_fields": _fields(reward.fields if reward else (), state.reward_values, "reward_", wrong),
        "rewarded": state.task == "molecule",
        "sampling": _fields(known.sampling, state.sampling, "", wrong),
        "sampling_open": wrong == "repeats" or any(wrong == option.name for option in known.sampling),
        "repeats": _fields((known.repeats,), {"repeats": state.repeats} if state.repeats else {}, "", wrong)
        if known.repeats
        else [],
        "alpha": _slider(state, known, wrong),
        "presets": presets.offered(known, state.task),
        "faulty": wrong,
    }


def field_name(path: str) -> str:
    """The name in the form of what the door calls ``path``."""
    found = _LANE.fullmatch(path)
    if found:
        name = f"m{int(found[1]) + 1}"
        if found[2] == ALPHA:
            return ALPHA
        return f"{name}_{found[2]}" if found[2] and found[2] != "method" else name
    head, _, tail = path.partition(".")
    if head == "sampling" and tail:
        return tail
    if head == "reward":
        return f"reward_{tail.rpartition('.')[2]}" if tail and tail != "name" else "reward"
    return path


def _slider(state: DecodingState, known: Known, wrong: str) -> dict[str, Any] | None:
    """α, where a lane has it: with its limits, and the value that stands."""
    methods = (known.method(lane.method) for lane in state.lanes)
    option = next((method.alpha for method in methods if method and method.alpha), None)
    if option is None:
        return None
    return {
        "value": state.alpha or presets.ALPHA_AT_FIRST,
        "low": SLIDER[0],
        "high": SLIDER[1],
        "help": option.help,
        "faulty": wrong == ALPHA,
    }


def _fields(
    options: Iterable[Option], values: Mapping[str, str], prefix: str, wrong: str
) -> list[dict[str, Any]]:
    found = []
    for option in options:
        value, choices = values.get(option.name, _default(option)), _choices(option)
        found.append(
            {
                "name": prefix + option.name,
                "option": option,
                "value": value,
                "choices": choices,
                "shown": dict(choices).get(value, value),
                "faulty": wrong == prefix + option.name,
            }
        )
    return found


def _summary(method: Choice, values: Mapping[str, str]) -> str:
    """What stands on a lane's folded settings: what is best known by a letter, and what is not as usual."""
    parameters = {option.name: values.get(option.name, _default(option)) for option in method.fields}
    usual = {option.name: _default(option) for option in method.fields}
    return wording.settings(parameters, usual) or "What it does"


def _choices(option: Option) -> list[tuple[str, str]]:
    if option.kind == "yes":
        return [("false", "no"), ("true", "yes")]
    return [(value, wording.choice(value)) for value in option.choices]


def _default(option: Option) -> str:
    if isinstance(option.default, bool):
        return "true" if option.default else "false"
    return f"{option.default:g}" if isinstance(option.default, float) else str(option.default)
