"""The state of the page: all of it stands in the address, and makes the request that the door is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from django.http import QueryDict

from webapp.decoding.known import ALPHA, MOST_LANES, Choice, Known, Option

LONGEST_ADDRESS = 6_000
LONGEST_VALUE = 2_000
LONGEST_WORD = 60
ALTERNATIVES = 5
PIN_LENGTH = 12
PIN_ORDER = ("target", "draft", "aligned")
NOBODY = "none"  # stands in a pin for a model that was not there


@dataclass(frozen=True)
class Lane:
    """A method and its parameters as typed."""

    method: str
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DecodingState:
    """Everything that decides an answer. Values are kept as typed: the door says what is wrong with them."""

    task: str = "molecule"
    prompt: str = ""
    lanes: tuple[Lane, ...] = ()
    sampling: Mapping[str, str] = field(default_factory=dict)
    reward: str = ""
    reward_values: Mapping[str, str] = field(default_factory=dict)
    alpha: str = ""
    seed: str = "0"
    repeats: str = ""
    models: str = ""  # the models that a permalink was made with
    run: bool = False  # whether the address asks for an answer, and not for a form only

    @classmethod
    def read(cls, query: QueryDict, known: Known) -> DecodingState:
        """The state of an address or a form."""
        lanes = []
        for number in range(1, MOST_LANES + 1):
            name = query.get(f"m{number}", "").strip()[:LONGEST_WORD]
            if name:
                method = known.method(name)
                lanes.append(Lane(name, _values(query, f"m{number}_", method.fields if method else ())))
        reward = known.reward(query.get("reward", ""))
        return cls(
            task=query.get("task", cls.task).strip()[:LONGEST_WORD] or cls.task,
            prompt=query.get("prompt", "").strip(),
            lanes=tuple(lanes),
            sampling=_values(query, "", known.sampling),
            reward=query.get("reward", "").strip()[:LONGEST_WORD],
            reward_values=_values(query, "reward_", reward.fields if reward else ()),
            alpha=query.get(ALPHA, "").strip()[:LONGEST_WORD],
            seed=query.get("seed", "").strip()[:LONGEST_WORD] or cls.seed,
            repeats=query.get("repeats", "").strip()[:LONGEST_WORD],
            models=query.get("models", "").strip()[:LONGEST_WORD],
            run=query.get("run", "") not in {"", "0"},
        )

    @property
    def rewarded(self) -> bool:
        """Whether a reward is asked for: they judge molecules, so that no other task has one."""
        return bool(self.reward) and self.task == "molecule"

    def request(self, known: Known) -> dict[str, Any]:
        """The request as the door and the API take it."""
        return {
            "task": self.task,
            "prompt": self.prompt,
            "lanes": [
                {"method": lane.method, "parameters": self._parameters(lane, known.method(lane.method))}
                for lane in self.lanes
            ],
            "sampling": _typed(self.sampling, known.sampling),
            "reward": self._reward(known),
            "seed": Option("seed", "", "whole", 0, "").value(self.seed),
            "alternatives": ALTERNATIVES,
            **({"repeats": known.repeats.value(self.repeats)} if known.repeats and self.repeats else {}),
        }

    def pairs(self) -> list[tuple[str, str]]:
        """All names and values of the address, in order."""
        pairs = [("task", self.task), ("prompt", self.prompt)]
        for number, lane in enumerate(self.lanes, 1):
            pairs.append((f"m{number}", lane.method))
            pairs += [(f"m{number}_{name}", value) for name, value in lane.values.items()]
        pairs += self.sampling.items()
        if self.reward:
            pairs.append(("reward", self.reward))
            pairs += [(f"reward_{name}", value) for name, value in self.reward_values.items()]
        rest = ((ALPHA, self.alpha), ("seed", self.seed), ("repeats", self.repeats), ("models", self.models))
        pairs += [(name, value) for name, value in rest if value]
        return [*pairs, ("run", "1")] if self.run else pairs

    def query(self) -> str:
        """The query string that leads here, with its question mark."""
        return f"?{urlencode(self.pairs())}"

    def completed(self, opened: Mapping[str, Any], known: Known) -> DecodingState:
        """The same with every value that a run was opened with written out, so that no default can change it, and with
        the models that it asks."""
        lanes = []
        for lane in opened["lanes"][: len(self.lanes)]:
            written = {name: _written(value) for name, value in (lane.get("parameters") or {}).items()}
            written.pop(ALPHA, None)
            lanes.append(Lane(lane["method"], written))
        sampling = {
            option.name: self.sampling.get(option.name, _written(option.default)) for option in known.sampling
        }
        alpha = next(
            (
                _written(lane["parameters"][ALPHA])
                for lane in opened["lanes"]
                if ALPHA in (lane.get("parameters") or {})
            ),
            "",
        )
        return replace(
            self,
            lanes=tuple(lanes) or self.lanes,
            sampling=sampling,
            alpha=alpha,
            seed=str(opened["seed"]),
            models=pin(opened["models"]),
            run=True,
        )

    def unpinned(self) -> DecodingState:
        """The same without the models that it was made with."""
        return replace(self, models="")

    def _parameters(self, lane: Lane, method: Choice | None) -> dict[str, Any]:
        if method is None:
            return dict(lane.values)
        found = _typed(lane.values, method.fields)
        if method.alpha and self.alpha:
            found[ALPHA] = method.alpha.value(self.alpha)
        return found

    def _reward(self, known: Known) -> dict[str, Any] | None:
        if not self.rewarded:
            return None
        kind = known.reward(self.reward)
        values = _typed(self.reward_values, kind.fields if kind else ())
        if self.reward == "retrieval":
            values.setdefault("text", self.prompt)
        return {"name": self.reward, **values}


def pin(models: Mapping[str, Any]) -> str:
    """The models of a run, short enough for an address."""
    hashes = [str((models.get(name) or {}).get("hash") or NOBODY)[:PIN_LENGTH] for name in PIN_ORDER]
    return ".".join(hashes)


def moved(pinned: str, models: Mapping[str, Any]) -> list[str]:
    """Which of the models are no longer those of a permalink."""
    if not pinned:
        return []
    today = pin(models).split(".")
    then = pinned.split(".")
    if len(then) != len(today):
        return list(PIN_ORDER)
    return [
        name for name, one, other in zip(PIN_ORDER, then, today, strict=True) if one not in (other, NOBODY)
    ]


def _values(query: QueryDict, prefix: str, options: tuple[Option, ...]) -> dict[str, str]:
    """What was given for the known parameters, without empty fields."""
    found = {each.name: query.get(prefix + each.name, "").strip()[:LONGEST_VALUE] for each in options}
    return {name: value for name, value in found.items() if value}


def _typed(values: Mapping[str, str], options: tuple[Option, ...]) -> dict[str, Any]:
    by_name = {option.name: option for option in options}
    return {name: by_name[name].value(text) if name in by_name else text for name, text in values.items()}


def _written(value: Any) -> str:
    """A value as it is typed."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.12g}" if isinstance(value, float) else str(value)
