"""What the door says can be asked: tasks, methods and rewards with their parameters, in the shape the form needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from webapp.decoding import wording
from workers import inference

MOST_LANES = 4
#: α of all lanes that have it comes from one slider
ALPHA = "alpha"
_KINDS = {"int": "whole", "float": "number", "bool": "yes", "str": "text"}


@dataclass(frozen=True)
class Option:
    """A parameter: ``kind`` is whole, number, yes, choice or text."""

    name: str
    label: str
    kind: str
    default: Any
    help: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    required: bool = False

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> Option:
        """The option as the door describes it."""
        choices = tuple(said.get("choices") or ())
        return cls(
            name=said["name"],
            label=wording.label(said),
            kind="choice" if choices else _KINDS[said["type"]],
            default=said["default"],
            help=said.get("help", ""),
            minimum=said.get("minimum"),
            maximum=said.get("maximum"),
            choices=choices,
            required=bool(said.get("required")),
        )

    @property
    def limits(self) -> str:
        """Its limits in words: ``1 to 64``; nothing where there are none."""
        if self.minimum is not None and self.maximum is not None:
            return f"{self.minimum:g} to {self.maximum:g}"
        if self.minimum is not None:
            return f"{self.minimum:g} or more"
        return f"at most {self.maximum:g}" if self.maximum is not None else ""

    def value(self, text: str) -> Any:
        """``text`` as JSON carries it; what is no number stays text, and the door says what is wrong with it."""
        if self.kind == "yes":
            return text not in {"", "0", "false", "off"}
        if self.kind in ("whole", "number"):
            for read in (int, float):
                try:
                    return read(text)
                except ValueError:
                    continue
        return text


@dataclass(frozen=True)
class Choice:
    """A task, method or reward: its title, one or two sentences, and its parameters."""

    name: str
    title: str
    help: str
    options: tuple[Option, ...] = ()
    needs: tuple[str, ...] = ()  # models beside the target, or "reward"
    exact: bool = False  # whether answers have the target's own law
    missing: str = ""  # why it cannot be used here

    @property
    def short(self) -> str:
        """Its title in few words."""
        return self.title.split(":")[0]

    @property
    def fields(self) -> tuple[Option, ...]:
        """The parameters with a field of their own: all but α, which has the slider."""
        return tuple(option for option in self.options if option.name != ALPHA)

    @property
    def alpha(self) -> Option | None:
        """α, where it has one."""
        return next((option for option in self.options if option.name == ALPHA), None)


@dataclass(frozen=True)
class Known:
    """Everything that can be asked of this installation."""

    tasks: tuple[Choice, ...]
    methods: tuple[Choice, ...]
    rewards: tuple[Choice, ...]
    sampling: tuple[Option, ...]
    repeats: Option | None
    models: Mapping[str, Any]

    @classmethod
    def ask(cls) -> Known:
        """What the door says now. Raises NotFound where there is no model."""
        return cls.read(inference.decoding_describe(), inference.decoding_models())

    @classmethod
    def read(cls, said: Mapping[str, Any], models: Mapping[str, Any]) -> Known:
        """From the answers of ``decoding_describe`` and ``decoding_models``; rewards that are made of other rewards are
        left to the API."""
        allowed = models.get("tasks") or [each["name"] for each in said["tasks"]]
        return cls(
            tasks=tuple(_choice(each, models) for each in said["tasks"] if each["name"] in allowed),
            methods=tuple(_choice(each, models) for each in said["methods"]),
            rewards=tuple(_choice(each, models) for each in said["rewards"] if not each.get("nested")),
            sampling=tuple(Option.read(each) for each in said["sampling"]),
            repeats=next((Option.read(each) for each in said["options"] if each["name"] == "repeats"), None),
            models=models,
        )

    def method(self, name: str) -> Choice | None:
        """The method called so."""
        return _named(self.methods, name)

    def reward(self, name: str) -> Choice | None:
        """The reward called so."""
        return _named(self.rewards, name)


def _named(choices: Sequence[Choice], name: str) -> Choice | None:
    return next((each for each in choices if each.name == name), None)


def _choice(said: Mapping[str, Any], models: Mapping[str, Any]) -> Choice:
    name = said["name"]
    title = wording.TASKS[name][0] if name in wording.TASKS else wording.METHODS.get(name) or said["title"]
    needs = tuple(said.get("needs") or ())
    return Choice(
        name=name,
        title=title,
        help=said.get("help", ""),
        options=tuple(Option.read(each) for each in said.get("parameters") or ()),
        needs=needs,
        exact=bool(said.get("exact")),
        missing=" ".join(
            _missing(slot, models) for slot in needs if slot != "reward" and not models.get(slot)
        ),
    )


def _missing(slot: str, models: Mapping[str, Any]) -> str:
    fault = (models.get("faults") or {}).get(slot)
    return str(fault or f"It needs the {wording.MODELS[slot].lower()}, and none is installed here.")
