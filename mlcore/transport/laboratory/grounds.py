"""The ground costs of the laboratory: names, formulas, parameters in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlcore.runtime.errors import InputError
from mlcore.transport.costs import Cost, cost_named
from mlcore.transport.laboratory.parameters import Parameter, checked


@dataclass(frozen=True)
class Ground:
    """A ground cost that can be chosen."""

    name: str
    label: str
    formula: str
    words: str
    parameters: tuple[Parameter, ...] = ()


GROUNDS: dict[str, Ground] = {
    each.name: each
    for each in (
        Ground(
            "squared_euclidean", "squared Euclidean", "|x − y|²", "Far moves cost much: mass keeps its order."
        ),
        Ground("euclidean", "Euclidean", "|x − y|", "The length of the way: plans are less unique."),
        Ground(
            "pnorm",
            "p-norm",
            "|x − y|ₚ, or its p-th power",
            "p = 1 is the city-block distance; larger p looks at the longest coordinate.",
            (
                Parameter("p", "p", "number", 1.0, "The exponent of the norm.", 1.0, 20.0),
                Parameter(
                    "power", "p-th power", "yes", False, "Take the sum of |xᵢ − yᵢ|ᵖ without the root."
                ),
            ),
        ),
        Ground(
            "cosine", "cosine", "1 − cos(x, y)", "Only the direction from the origin counts, not the length."
        ),
        Ground(
            "geodesic",
            "angle",
            "arccos cos(x, y)",
            "The angle seen from the origin in radians: the distance on a sphere.",
            (Parameter("squared", "squared", "yes", False, "Take the square of the angle."),),
        ),
        Ground(
            "elastic",
            "elastic",
            "|z|²/2 + τ(z), z = x − y",
            "Moves along few coordinates are cheaper than slanted ones.",
            (
                Parameter("strength", "strength", "number", 0.5, "How much slanted moves cost.", 1e-3, 1e3),
                Parameter(
                    "kind",
                    "kind",
                    "choice",
                    "l1",
                    "l1: τ is the l1 norm; stvs shrinks large moves less.",
                    choices=("l1", "stvs"),
                ),
            ),
        ),
    )
}
ALIASES = {"sqeuclidean": "squared_euclidean"}


def ground_named(name: str, parameters: Mapping[str, Any]) -> tuple[Ground, dict[str, Any], Cost]:
    """The cost called ``name`` with its completed parameters.

    Raises:
        InputError: no such cost, or a parameter that it cannot take.
    """
    name = ALIASES.get(name, name)
    if name not in GROUNDS:
        raise InputError(
            f"there is no ground cost called '{name[:40]}'",
            field="cost",
            remedy=f"Use one of {', '.join(GROUNDS)}.",
        )
    ground = GROUNDS[name]
    values = checked(ground.parameters, parameters, f"the cost {ground.label}", "cost_parameters")
    return ground, values, cost_named(name, **values)
