"""The values that solvers and costs take: their ranges, defaults and plain words, and the check of what was given."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlcore.runtime.errors import InputError


@dataclass(frozen=True)
class Parameter:
    """One value that a solver or a cost takes."""

    name: str
    label: str
    kind: str  # number, whole, choice or yes
    default: Any
    words: str
    least: float = 0.0
    most: float = 0.0
    choices: tuple[str, ...] = ()
    strength: bool = False  # a share of the statistic named by ``relative``
    endless: bool = False  # may be infinite, written "inf"


def checked(
    parameters: tuple[Parameter, ...], given: Mapping[str, Any], of: str, where: str = "parameters"
) -> dict[str, Any]:
    """``given`` completed by the defaults.

    Raises:
        InputError: a parameter that does not exist, or a value outside its range; the field is ``where.name``.
    """
    names = [each.name for each in parameters]
    unknown = sorted(set(given) - set(names))
    if unknown:
        raise InputError(
            f"{of} has no parameter '{str(unknown[0])[:40]}'",
            field=f"{where}.{str(unknown[0])[:40]}",
            remedy=f"It takes {', '.join(names) or 'none'}.",
        )
    return {each.name: _value(each, given.get(each.name, each.default), where) for each in parameters}


def _value(parameter: Parameter, given: Any, where: str) -> Any:
    place = f"{where}.{parameter.name}"
    if parameter.kind == "choice":
        if given not in parameter.choices:
            raise InputError(
                f"{parameter.label} cannot be '{str(given)[:30]}'",
                field=place,
                remedy=f"Use one of {', '.join(parameter.choices)}.",
            )
        return given
    if parameter.kind == "yes":
        if str(given).lower() not in {"true", "false", "1", "0", "on", "off", "yes", "no"}:
            raise InputError(f"{parameter.label} is yes or no", field=place, remedy="Write true or false.")
        return str(given).lower() in {"true", "1", "on", "yes"}
    spoken = f"from {parameter.least:g} to {parameter.most:g}" + (", or inf" if parameter.endless else "")
    try:
        value = float(given)
    except (TypeError, ValueError):
        value = math.nan
    whole = parameter.kind == "whole"
    inside = parameter.least <= value <= parameter.most or (parameter.endless and value == math.inf)
    if isinstance(given, bool) or not inside or (whole and value != int(value)):
        raise InputError(
            f"{parameter.label} cannot be '{str(given)[:30]}'",
            field=place,
            remedy=f"Give a {'whole ' if whole else ''}number {spoken}.",
        )
    return int(value) if whole else value
