"""What is asked of the decoding methods, from JSON: checked field by field, each fault with the path of its field.

``{"task", "prompt", "lanes": [{"method", "parameters"}, …], "sampling": {…}, "reward": {…} | null, "seed",
"alternatives", "repeats"}``; :func:`describe` says what each may be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from transformers import PreTrainedTokenizerBase

from mlcore.decoding import rewards
from mlcore.decoding.language import prompts
from mlcore.decoding.language.tokenizer import MARKERS
from mlcore.decoding.sampling import Sampling, Warper
from mlcore.decoding.serving.methods import METHODS, Method
from mlcore.retrieval.structure import read_any
from mlcore.runtime.errors import InputError, LimitError
from mlcore.runtime.options import Option, checked, described

Task = Literal["molecule", "description", "continue"]
TASKS: tuple[Task, ...] = get_args(Task)
MOST_LANES, MOST_CHARACTERS = 4, 20_000

SEED = Option(
    "seed", int, 0, "of everything random: the same seed, the same answers", minimum=0, maximum=2**31 - 1
)
ALTERNATIVES = Option(
    "alternatives", int, 0, "likeliest tokens told with each that is emitted", minimum=0, maximum=10
)
REPEATS = Option(
    "repeats",
    int,
    1,
    "times that each lane is measured, for the interval of its speed",
    minimum=1,
    maximum=20,
)
_FIELDS = ("task", "prompt", "lanes", "sampling", "reward", "seed", "alternatives", "repeats")


@dataclass(frozen=True)
class Lane:
    """One method with its options, an instance of the class of ``method.options``."""

    method: Method
    options: Any

    def facts(self) -> dict[str, Any]:
        """As JSON."""
        chosen = {each.name: getattr(self.options, each.name) for each in self.method.parameters()}
        return {"method": self.method.name, "title": self.method.title, "parameters": chosen}


@dataclass(frozen=True)
class Request:
    """A prompt, and the methods that answer it. ``reward`` is a specification for :func:`rewards.build`, or None."""

    task: Task
    prompt: str
    lanes: tuple[Lane, ...]
    sampling: Sampling = field(default_factory=Sampling)
    reward: Mapping[str, Any] | None = None
    seed: int = 0
    alternatives: int = 0
    repeats: int = 1

    @classmethod
    def read(cls, given: object) -> Request:
        """The request in a JSON value.

        Raises:
            InputError: something missing, unknown or out of its limits; ``field`` is the path to it, as
                ``lanes.1.parameters.length``.
            LimitError: a prompt of more than :data:`MOST_CHARACTERS`.
        """
        values = _object(given, "", _FIELDS)
        task, text = values.get("task", "molecule"), values.get("prompt")
        if task not in TASKS:
            raise InputError(
                f"There is no task '{str(task)[:40]}'.", field="task", remedy=f"Choose {', '.join(TASKS)}."
            )
        if not isinstance(text, str) or not text.strip():
            raise InputError("There is no prompt.", field="prompt", remedy="Write what is to be answered.")
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise InputError(
                "The prompt holds half a character.", field="prompt", remedy="Write it as Unicode text."
            )
        if len(text) > MOST_CHARACTERS:
            raise LimitError(
                f"The prompt has {len(text):,} characters; {MOST_CHARACTERS:,} is the limit.",
                field="prompt",
                remedy="Shorten it.",
            )
        reward = values.get("reward")
        if reward is not None and task == "description":
            raise InputError(
                "Rewards are of molecules, and a description is asked for.",
                field="reward",
                remedy="Leave the reward out, or ask for a molecule.",
            )
        if reward is not None and not isinstance(reward, Mapping):
            raise InputError("A reward is an object.", field="reward", remedy='Write it as {"name": "qed"}.')
        return cls(
            task,
            text,
            _lanes(values.get("lanes"), reward is not None),
            _sampling(values.get("sampling")),
            reward,
            *(
                _value(each, values[each.name], each.name) if each.name in values else each.default
                for each in (SEED, ALTERNATIVES, REPEATS)
            ),
        )

    def tokens(self, tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
        """The prompt in tokens; of a molecule to be described, the canonical SMILES.

        Raises:
            InputError: a task that the tokenizer has no markers for, a molecule that cannot be read.
        """
        if self.task == "continue":
            return tuple(_plain(tokenizer, self.prompt))
        if not prompts.speaks_molecules(tokenizer):
            raise InputError(
                "This model was not trained on molecules.", field="task", remedy="Choose the task 'continue'."
            )
        given = self.prompt
        if self.task == "description":
            given = read_any(given, field="prompt").smiles
        return tuple(prompts.prompt(tokenizer, self.task, given))


def option_json(option: Option) -> dict[str, Any]:
    """A parameter as JSON: name, type, default, help, limits, choices."""
    return {
        "name": option.name,
        "type": option.type.__name__,
        "default": option.default,
        "help": option.help,
        "minimum": option.minimum,
        "maximum": option.maximum,
        "choices": list(option.choices),
    }


def placed(fault: InputError, lane: Lane, number: int) -> InputError:
    """``fault`` with the path of the field that it names, as far as that is one of the request's."""
    if fault.field in {each.name for each in lane.method.parameters()}:
        fault.field = f"lanes.{number}.parameters.{fault.field}"
    elif fault.field in {each.name for each in described(Sampling())}:
        fault.field = f"sampling.{fault.field}"
    elif fault.field not in ("prompt", "reward") and not (fault.field or "").startswith(
        ("reward.", "lanes.")
    ):
        fault.field = f"lanes.{number}.method"
    return fault


def build_reward(request: Request, retrieval: Any = None) -> rewards.Reward | None:
    """The reward that is asked for; ``retrieval`` gives the retrieval model, and is called only where one is needed.

    Raises:
        InputError: an unknown reward or a parameter that it cannot take; ``field`` begins with ``reward``.
    """
    if request.reward is None:
        return None
    model = retrieval() if retrieval is not None and _mentions(request.reward, "retrieval") else None
    try:
        return rewards.build(request.reward, retrieval=model)
    except InputError as fault:
        fault.field = f"reward.{fault.field}" if fault.field else "reward"
        raise


def _plain(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    if prompts.speaks_molecules(tokenizer):
        return [tokenizer.convert_tokens_to_ids(MARKERS[0]), *prompts.plain_tokens(tokenizer, text)]
    return list(tokenizer(text)["input_ids"])


def _lanes(given: object, rewarded: bool) -> tuple[Lane, ...]:
    if not isinstance(given, list | tuple) or not 1 <= len(given) <= MOST_LANES:
        raise InputError(
            f"There are 1 to {MOST_LANES} lanes.",
            field="lanes",
            remedy='Write one as {"method": "spectr", "parameters": {"drafts": 2}}.',
        )
    return tuple(_lane(each, f"lanes.{number}", rewarded) for number, each in enumerate(given))


def _lane(given: object, path: str, rewarded: bool) -> Lane:
    values = _object(given, path, ("method", "parameters"))
    name = values.get("method")
    if not isinstance(name, str) or name not in METHODS:
        raise InputError(
            f"There is no method '{str(name)[:40]}'.",
            field=f"{path}.method",
            remedy=f"Choose {', '.join(METHODS)}.",
        )
    method = METHODS[name]
    if "reward" in method.needs and not rewarded:
        raise InputError(
            f"{method.title} needs a reward to go for.",
            field="reward",
            remedy='Give one, as {"name": "qed"}.',
        )
    known = {each.name: each for each in method.parameters()}
    path = f"{path}.parameters"
    chosen = _object(values.get("parameters") or {}, path, tuple(known))
    chosen = {key: _value(known[key], value, f"{path}.{key}") for key, value in chosen.items()}
    return Lane(method, replace(method.options, **chosen))


def _sampling(given: object) -> Sampling:
    known = {each.name: each for each in described(Sampling())}
    values = _object(given if given is not None else {}, "sampling", tuple(known))
    sampling = Sampling(
        **{name: _value(known[name], value, f"sampling.{name}") for name, value in values.items()}
    )
    try:
        Warper(sampling, 1)
    except InputError as fault:
        fault.field = f"sampling.{fault.field}"
        raise
    return sampling


def _object(given: object, path: str, known: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise InputError(
            f"This is {type(given).__name__}, not an object.",
            field=path or None,
            remedy=f"Its fields are {', '.join(known) or 'none'}.",
        )
    for key in given:
        if key not in known:
            raise InputError(
                f"There is no '{str(key)[:40]}' here.",
                field=f"{path}.{str(key)[:40]}".lstrip("."),
                remedy=f"Choose from {', '.join(known)}." if known else "Nothing can be chosen.",
            )
    return given


def _value(option: Option, value: Any, path: str) -> Any:
    wrong = isinstance(value, bool) != (option.type is bool) and not isinstance(value, str)
    try:
        if wrong or isinstance(value, Mapping | list) or value is None:
            raise InputError(
                f"'{str(value)[:40]}' is not a value of '{option.name}'.",
                remedy=f"Give a {option.type.__name__}.",
            )
        return checked(option, value)
    except InputError as fault:
        fault.field = path
        raise


def _mentions(spec: object, name: str) -> bool:
    if isinstance(spec, Mapping):
        return spec.get("name") == name or any(_mentions(value, name) for value in spec.values())
    return isinstance(spec, list) and any(_mentions(value, name) for value in spec)
