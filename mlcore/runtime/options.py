"""Parameters that explain themselves: a field of a frozen dataclass with its meaning and its limits.

Forms, API schemas and command lines are made from :func:`described`; :func:`checked` holds a value to its field.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from typing import Any

from mlcore.runtime.errors import InputError


@dataclass(frozen=True)
class Option:
    """One parameter: ``name`` (dotted where nested), ``type`` of its value, default, meaning and limits."""

    name: str
    type: type
    default: Any
    help: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()


def option(
    default: Any,
    help: str = "",
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: Sequence[str] = (),
) -> Any:
    """A dataclass field with a default, what it means, and what it may be."""
    limits = {"help": help, "minimum": minimum, "maximum": maximum, "choices": tuple(choices)}
    return field(default=default, metadata=limits)


def described(config: Any, prefix: str = "") -> Iterator[Option]:
    """Every parameter of a dataclass instance with its value as the default; nested ones get dotted names."""
    for entry in fields(config):
        value = getattr(config, entry.name)
        name = f"{prefix}{entry.name}"
        if is_dataclass(value):
            yield from described(value, f"{name}.")
        elif isinstance(value, bool | int | float | str):
            yield Option(name, type(value), value, **{key: entry.metadata[key] for key in entry.metadata})


def needed(config: type) -> list[str]:
    """Names of the fields of a dataclass that have no default."""
    return [
        entry.name
        for entry in fields(config)
        if entry.default is MISSING and entry.default_factory is MISSING
    ]


def checked(wanted: Option, text: Any) -> Any:
    """``text`` (what was typed, or a JSON value) as a value of the option.

    Raises:
        InputError: not of its type, or outside its limits.
    """
    value = _typed(wanted, text)
    if wanted.choices and value not in wanted.choices:
        raise _wrong(wanted, text, f"Choose {', '.join(wanted.choices)}.")
    if wanted.type in (int, float):
        if wanted.minimum is not None and value < wanted.minimum:
            raise _wrong(wanted, text, f"It is at least {wanted.minimum:g}.")
        if wanted.maximum is not None and value > wanted.maximum:
            raise _wrong(wanted, text, f"It is at most {wanted.maximum:g}.")
    return value


def _typed(wanted: Option, text: Any) -> Any:
    word = str(text).strip()
    try:
        if wanted.type is bool:
            value = json.loads(word.lower())
            if not isinstance(value, bool):
                raise ValueError
            return value
        if wanted.type is float:
            number = float(word)
            if not math.isfinite(number):
                raise ValueError
            return number
        return wanted.type(word)
    except ValueError:
        kind = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}[wanted.type]
        raise _wrong(wanted, text, f"It is {kind}, {wanted.default!r} by default.") from None


def _wrong(wanted: Option, text: Any, remedy: str) -> InputError:
    shown = str(text)[:60]
    return InputError(f"'{shown}' is not a value of '{wanted.name}'.", field=wanted.name, remedy=remedy)
