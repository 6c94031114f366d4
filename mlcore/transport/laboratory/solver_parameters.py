"""The parameters of every solver of the laboratory: labels, defaults, ranges, and what each does in plain words."""

from __future__ import annotations

from mlcore.transport.laboratory.parameters import Parameter

STATISTICS = ("mean", "max", "std", "absolute")
SIDES = ("rows", "columns")
_RELATIVE = Parameter(
    "relative",
    "relative to",
    "choice",
    "mean",
    "What the strengths above are shares of: the mean, the greatest value or the standard deviation of the costs; "
    "absolute takes them in the unit of the cost.",
    choices=STATISTICS,
)
_TOLERANCE = Parameter(
    "tolerance",
    "tolerance",
    "number",
    1e-7,
    "How far the plan's row and column sums may be from the weights, as a share of the mass. It decides the status.",
    1e-12,
    0.1,
)


def _epsilon(default: float) -> Parameter:
    return Parameter(
        "epsilon",
        "ε",
        "number",
        default,
        "How much the entropy counts. Larger: blurred plans, quickly found. Smaller: sharp plans near the exact one, "
        "with more iterations.",
        1e-6,
        1e6,
        strength=True,
    )


def _iterations(default: int) -> Parameter:
    return Parameter(
        "max_iterations",
        "iterations, at most",
        "whole",
        default,
        "After so many the solver stops, converged or not; the status says which.",
        1,
        100_000,
    )


def _rho(name: str, label: str, side: str) -> Parameter:
    return Parameter(
        name,
        label,
        "number",
        1.0,
        f"What it costs to leave mass of the {side} behind, or to invent some. inf: all of it must be carried.",
        1e-6,
        1e6,
        strength=True,
        endless=True,
    )


ENTROPIC = (_epsilon(0.05), _RELATIVE, _TOLERANCE, _iterations(5_000))
UNBALANCED = (
    _epsilon(0.05),
    _rho("rho_a", "ρ₁, source", "source"),
    _rho("rho_b", "ρ₂, target", "target"),
    _RELATIVE,
    _TOLERANCE,
    _iterations(2_000),
)
PROXIMAL = (
    Parameter(
        "beta",
        "β",
        "number",
        0.5,
        "The step: each outer step is entropic transport of this strength around the plan before. Smaller: sharper "
        "per step. The limit does not depend on it.",
        1e-4,
        1e4,
        strength=True,
    ),
    _RELATIVE,
    Parameter("steps", "outer steps", "whole", 500, "More steps come nearer to an exact plan.", 1, 20_000),
    Parameter("tolerance", "tolerance", "number", 1e-4, _TOLERANCE.words, 1e-12, 0.1),
)
_GAMMA = Parameter(
    "gamma",
    "γ",
    "number",
    10.0,
    "How much the squares of the plan count. Smaller: fewer links, nearer to the exact plan. With n points a side a "
    "link carries about 1/n, so that useful values grow with n.",
    1e-6,
    1e9,
    strength=True,
)
_PRECISE = Parameter("tolerance", "tolerance", "number", 1e-8, _TOLERANCE.words, 1e-12, 0.1)
QUADRATIC = (_GAMMA, _RELATIVE, _PRECISE, _iterations(300))
SPARSE = (
    _GAMMA,
    Parameter(
        "k",
        "k, links at most",
        "whole",
        4,
        "No row (or column) of the plan gets more links than this. A small k may leave no plan that carries all mass: "
        "between n and m points about (n + m − 1) links are needed, fewer where masses match.",
        1,
        100_000,
    ),
    Parameter(
        "side",
        "k counts in",
        "choice",
        "rows",
        "rows: a source point sends to at most k targets. columns: a target point receives from at most k sources.",
        choices=SIDES,
    ),
    _RELATIVE,
    _PRECISE,
    Parameter(
        "steps",
        "proximal steps, at most",
        "whole",
        20,
        "More steps come nearer to the optimum of the relaxation, which the plan is rounded from.",
        1,
        500,
    ),
)
