"""Rewards by name: what there is, in words and limits for a form, and how to build one from JSON.

``{"name": "qed"}``, ``{"name": "logp", "low": 1, "high": 3}``, ``{"name": "retrieval", "text": "…"}``,
``{"name": "sum", "parts": [{"reward": {…}, "weight": 0.5}, …]}``,
``{"name": "standardised", "reward": {…}, "mean": 0.4, "std": 0.2}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from mlcore.decoding.rewards.base import MoleculeReward, Reward
from mlcore.decoding.rewards.composition import LEAST_STD, Standardised, combine
from mlcore.decoding.rewards.matching import LONGEST_TEXT, TextMatch
from mlcore.decoding.rewards.molecular import QED, LogPWindow, Similarity, SyntheticAccessibility, Validity
from mlcore.runtime.errors import InputError
from mlcore.runtime.options import Option, checked

if TYPE_CHECKING:
    from mlcore.retrieval.model import RetrievalModel

#: parts that a sum may have, how deep rewards may stand in rewards, and how large a weight may be
MOST_PARTS, DEEPEST, LARGEST_WEIGHT = 16, 4, 1000.0
_WEIGHT = Option("weight", float, 1.0, "factor", minimum=-LARGEST_WEIGHT, maximum=LARGEST_WEIGHT)


@dataclass(frozen=True)
class Kind:
    """One kind of reward. ``range`` is None where it depends on the parts; ``nested`` is the parameter that holds
    other rewards, if one does.
    """

    name: str
    title: str
    help: str
    range: tuple[float, float] | None = (0.0, 1.0)
    parameters: tuple[Option, ...] = ()
    required: tuple[str, ...] = ()
    nested: str | None = None
    make: type[MoleculeReward] | None = None


def _options(kind: type) -> tuple[Option, ...]:
    """The parameters of a reward's dataclass."""
    return tuple(
        Option(entry.name, type(entry.default), entry.default, **entry.metadata)
        for entry in fields(kind)
        if entry.init
    )


_KINDS = (
    Kind("validity", "Validity", "1 for a molecule that can exist, 0 for any other text.", make=Validity),
    Kind(
        "qed", "Drug-likeness (QED)",
        "Eight properties (weight, logP, donors, acceptors, polar surface, rotatable bonds, aromatic rings, alerts) "
        "compared with those of oral drugs. 1 is most drug-like.",
        make=QED,
    ),
    Kind(
        "synthetic_accessibility", "Ease of synthesis",
        "From how common a molecule's fragments are and how complex it is; the score 1 (easy) to 10 (hard) brought "
        "to 1 (easy) to 0 (hard).",
        make=SyntheticAccessibility,
    ),
    Kind(
        "logp", "logP window",
        "1 where Crippen's estimate of logP lies in the window, falling linearly to 0 at the margin outside.",
        parameters=_options(LogPWindow), make=LogPWindow,
    ),
    Kind(
        "similarity", "Similarity to a molecule",
        "Share of common substructures with a target: Tanimoto of Morgan fingerprints, radius 2, 2048 bits.",
        parameters=_options(Similarity), required=("target",), make=Similarity,
    ),
    Kind(
        "retrieval", "Fit to a description",
        "How well a molecule fits a text, by the retrieval model: 1 fits best, 0.5 is unrelated.",
        parameters=(
            Option("text", str, "", f"what the molecule should be, at most {LONGEST_TEXT:,} characters"),
        ),
        required=("text",),
    ),
    Kind(
        "sum", "Weighted sum", f"Up to {MOST_PARTS} rewards, each times its weight, added.",
        range=None, nested="parts",
    ),
    Kind(
        "standardised", "Standardised reward",
        "A reward less its mean on reference samples, divided by their standard deviation.",
        range=None, nested="reward", required=("reward", "mean", "std"),
        parameters=(
            Option("mean", float, 0.0, "mean on the reference samples", minimum=-1e6, maximum=1e6),
            Option(
                "std", float, 1.0, "standard deviation on the reference samples", minimum=LEAST_STD, maximum=1e6
            ),
        ),
    ),
)  # fmt: skip

#: every kind of reward by its name
REWARDS: dict[str, Kind] = {kind.name: kind for kind in _KINDS}


def forms() -> list[dict[str, Any]]:
    """Every kind of reward as JSON can carry it: name, title, help, range, parameters."""
    return [
        {
            "name": kind.name,
            "title": kind.title,
            "help": kind.help,
            "range": list(kind.range) if kind.range else None,
            "nested": kind.nested,
            "parameters": [
                {
                    "name": parameter.name,
                    "type": parameter.type.__name__,
                    "default": parameter.default,
                    "help": parameter.help,
                    "minimum": parameter.minimum,
                    "maximum": parameter.maximum,
                    "required": parameter.name in kind.required,
                }
                for parameter in kind.parameters
            ],
        }
        for kind in REWARDS.values()
    ]


def build(spec: object, *, retrieval: RetrievalModel | None = None) -> Reward:
    """The reward that ``spec`` (a JSON value, see above) describes; ``retrieval`` scores texts, where one is asked for.

    Raises:
        InputError: an unknown name or parameter, a value outside its limits, a missing one; ``field`` is the path
            to it, as ``parts.0.reward.low``.
        ModelError: RDKit comes without the synthetic accessibility score.
    """
    return _build(spec, "", 1, retrieval)


def _build(spec: object, path: str, depth: int, retrieval: RetrievalModel | None) -> Reward:
    if depth > DEEPEST:
        raise InputError(
            f"Rewards stand more than {DEEPEST} deep in each other.",
            field=path.rstrip(".") or None,
            remedy="Write them as one sum.",
        )
    kind, given = _kind(spec, path)
    if kind.nested == "parts":
        return combine(_parts(given["parts"], path, depth, retrieval))
    values = _values(kind, given, path)
    if kind.nested == "reward":
        return Standardised(_build(given["reward"], f"{path}reward.", depth + 1, retrieval), **values)
    try:
        if kind.make is not None:
            return kind.make(**values)
        if retrieval is None:
            raise InputError(
                f"The reward '{kind.name}' needs a retrieval model, and none is loaded.",
                field="name",
                remedy="Load one, or choose another reward.",
            )
        return TextMatch(**values, model=retrieval)
    except InputError as fault:
        fault.field = f"{path}{fault.field}" if fault.field else path.rstrip(".") or None
        raise


def _kind(spec: object, path: str) -> tuple[Kind, Mapping[str, Any]]:
    """The kind that ``spec`` names and its parameters, none unknown, none missing."""
    if not isinstance(spec, Mapping):
        raise InputError(
            f"A reward is an object with a name, not {type(spec).__name__}.",
            field=path.rstrip(".") or None,
            remedy='Write it as {"name": "qed"}.',
        )
    name = spec.get("name")
    if not isinstance(name, str) or name not in REWARDS:
        raise InputError(
            "The reward has no name." if name is None else f"There is no reward '{str(name)[:60]}'.",
            field=f"{path}name",
            remedy=f"Choose {', '.join(REWARDS)}.",
        )
    kind = REWARDS[name]
    known = [parameter.name for parameter in kind.parameters] + ([kind.nested] if kind.nested else [])
    given = {key: value for key, value in spec.items() if key != "name"}
    for key in given:
        if key not in known:
            raise InputError(
                f"The reward '{name}' has no parameter '{str(key)[:60]}'.",
                field=f"{path}{str(key)[:60]}",
                remedy=f"It has {', '.join(known)}." if known else "It has none.",
            )
    for key in (*kind.required, *([kind.nested] if kind.nested else [])):
        if key not in given:
            raise InputError(
                f"The reward '{name}' needs '{key}'.", field=f"{path}{key}", remedy=f"Give {key}."
            )
    return kind, given


def _values(kind: Kind, given: Mapping[str, Any], path: str) -> dict[str, Any]:
    return {
        parameter.name: _value(parameter, given[parameter.name], path)
        for parameter in kind.parameters
        if parameter.name in given
    }


def _value(parameter: Option, value: Any, path: str) -> Any:
    if parameter.type is str:
        if not isinstance(value, str):
            raise InputError(
                f"'{parameter.name}' is text, not {type(value).__name__}.",
                field=f"{path}{parameter.name}",
                remedy="Write it in quotation marks.",
            )
        return value
    try:
        return checked(parameter, value)
    except InputError as fault:
        fault.field = f"{path}{parameter.name}"
        raise


def _parts(
    parts: object, path: str, depth: int, retrieval: RetrievalModel | None
) -> list[tuple[Reward, float]]:
    if not isinstance(parts, list | tuple) or not 1 <= len(parts) <= MOST_PARTS:
        raise InputError(
            f"A sum takes a list of 1 to {MOST_PARTS} parts.",
            field=f"{path}parts",
            remedy='Write a part as {"reward": {"name": "qed"}, "weight": 1}.',
        )
    built = []
    for number, part in enumerate(parts):
        place = f"{path}parts.{number}"
        if not isinstance(part, Mapping) or "reward" not in part or set(part) - {"reward", "weight"}:
            raise InputError(
                "A part of a sum has a reward, a weight and nothing else.",
                field=place,
                remedy='Write it as {"reward": {"name": "qed"}, "weight": 1}.',
            )
        weight = _value(_WEIGHT, part.get("weight", _WEIGHT.default), f"{place}.")
        built.append((_build(part["reward"], f"{place}.reward.", depth + 1, retrieval), weight))
    return built
