"""The solvers by name, each with its parameters in plain words, behind one call.

A strength (``epsilon``, ``rho_a``, ``rho_b``, ``beta``, ``gamma``) is a share of a statistic of the costs, named by
``relative``, so that it means the same whatever the unit of the coordinates; ``relative="absolute"`` takes it as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from mlcore.runtime.errors import InputError
from mlcore.transport.exact import exact_transport
from mlcore.transport.parameters import Parameter
from mlcore.transport.proximal import ipot
from mlcore.transport.sinkhorn import sinkhorn
from mlcore.transport.solution import Solution, Status, status_of
from mlcore.transport.unbalanced import unbalanced_sinkhorn

STATISTICS = ("mean", "max", "std", "absolute")


@dataclass(frozen=True, eq=False)
class Setting:
    """One problem, ready for a solver: unbatched tensors of one type on one device."""

    cost: Tensor  # (n, m)
    a: Tensor  # (n,)
    b: Tensor  # (m,)


@dataclass(frozen=True, eq=False)
class Outcome:
    """What every solver gives back; ``None`` where it has no such thing."""

    plan: Tensor  # (n, m)
    cost: float
    primal: float
    dual: float | None
    row_error: float
    column_error: float
    iterations: int | None
    status: Status
    tolerance: float
    regulariser: str
    f: Tensor | None = None
    g: Tensor | None = None
    further: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Solver:
    """A way to solve the problem: what it minimises, what it takes, and what helps when it does not get there."""

    name: str
    label: str
    words: str
    objective: str
    parameters: tuple[Parameter, ...]
    run: Callable[[Setting, dict[str, Any]], Outcome]
    remedy: str
    balanced: bool = True
    on_cpu: bool = False  # runs on the CPU whatever the device
    passes: Callable[[Mapping[str, Any], float], tuple[float, float]] = lambda _values, _mean: (1, 1)
    copies: int = 8  # of the cost matrix held at the same time, measured


def statistic(cost: Tensor, a: Tensor, b: Tensor, name: str) -> float:
    """Mean, greatest value or standard deviation of the costs where both marginals have mass; 1 for ``absolute``."""
    if name == "absolute":
        return 1.0
    allowed = cost[a > 0][:, b > 0]
    if name == "std":
        return float(allowed.std(correction=0))
    return float(allowed.mean() if name == "mean" else allowed.max())


def absolute(
    setting: Setting, values: Mapping[str, Any], parameters: tuple[Parameter, ...]
) -> dict[str, float]:
    """The strengths among ``values`` in the units of the cost.

    Raises:
        InputError: the statistic that they are shares of is zero.
    """
    names = [each.name for each in parameters if each.strength]
    if not names:
        return {}
    scale = statistic(setting.cost, setting.a, setting.b, values["relative"])
    if scale <= 0:
        raise InputError(
            f"the {values['relative']} of the costs is {scale:g}, and a share of it is nothing",
            field="parameters.relative",
            remedy="Use relative = absolute, move a point, or use the exact solver.",
        )
    return {name: values[name] * scale for name in names}


def of_solution(solution: Solution, **further: float) -> Outcome:
    """A solution without a batch axis as an outcome."""
    return Outcome(
        plan=solution.plan,
        f=solution.f,
        g=solution.g,
        cost=float(solution.cost),
        primal=float(solution.primal),
        dual=float(solution.dual),
        row_error=float(solution.row_error),
        column_error=float(solution.column_error),
        iterations=int(solution.iterations),
        status=Status(int(solution.status)),
        tolerance=solution.tolerance,
        regulariser=solution.regulariser,
        further=further,
    )


def _exact(setting: Setting, _values: dict[str, Any]) -> Outcome:
    found = of_solution(exact_transport(setting.cost, setting.a, setting.b))
    counted = found.status == Status.ITERATION_LIMIT  # the simplex does not count its pivots
    return found if counted else Outcome(**{**vars(found), "iterations": None})


def _sinkhorn(setting: Setting, values: dict[str, Any]) -> Outcome:
    epsilon = absolute(setting, values, ENTROPIC)["epsilon"]
    found = sinkhorn(
        setting.cost,
        setting.a,
        setting.b,
        epsilon,
        tolerance=values["tolerance"],
        max_iterations=values["max_iterations"],
    )
    return of_solution(found, epsilon=epsilon, entropic=float(found.entropic))


def _unbalanced(setting: Setting, values: dict[str, Any]) -> Outcome:
    strengths = absolute(setting, values, UNBALANCED)
    if math.isinf(strengths["rho_a"]) and math.isinf(strengths["rho_b"]):
        gap = abs(float(setting.a.sum()) - float(setting.b.sum()))
        if gap > 1e-9 * float(setting.a.sum()):
            raise InputError(
                f"both sides are demanded (both ρ infinite) but their masses are {float(setting.a.sum()):.6g} and "
                f"{float(setting.b.sum()):.6g}",
                field="parameters.rho_a",
                remedy="Make one of the two ρ finite, or give both clouds the same mass.",
            )
    found = unbalanced_sinkhorn(
        setting.cost,
        setting.a,
        setting.b,
        tolerance=values["tolerance"],
        max_iterations=values["max_iterations"],
        epsilon=strengths["epsilon"],
        rho_a=strengths["rho_a"],
        rho_b=strengths["rho_b"],
    )
    return of_solution(
        found,
        **strengths,
        entropic=float(found.entropic),
        mass=float(found.mass),
        row_penalty=float(found.row_penalty),
        column_penalty=float(found.column_penalty),
    )


def _ipot(setting: Setting, values: dict[str, Any]) -> Outcome:
    beta = absolute(setting, values, PROXIMAL)["beta"]
    found = ipot(setting.cost[None], setting.a[None], setting.b[None], beta=beta, steps=values["steps"])
    error = torch.maximum(found.row_error, found.column_error)
    finite = torch.isfinite(found.plan).all().reshape(1)
    return Outcome(
        plan=found.plan[0],
        cost=float(found.cost),
        primal=float(found.cost),
        dual=None,
        row_error=float(found.row_error),
        column_error=float(found.column_error),
        iterations=found.steps,
        status=Status(int(status_of(error, setting.a.sum().reshape(1), values["tolerance"], finite))),
        tolerance=values["tolerance"],
        regulariser="none at the limit",
        further={"beta": beta},
    )


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


def _entropic_passes(values: Mapping[str, Any], mean: float) -> tuple[float, float]:
    share = values["epsilon"] / (mean if values["relative"] == "absolute" and mean > 0 else 1.0)
    most = values["max_iterations"]
    return min(most, 40 + 8 / share), most + 200


def _unbalanced_passes(values: Mapping[str, Any], mean: float) -> tuple[float, float]:
    usual, most = _entropic_passes(values, mean)
    return 25 * usual, 25 * most  # every step is made in the log domain


SOLVERS: dict[str, Solver] = {
    each.name: each
    for each in (
        Solver(
            "exact",
            "Exact (network simplex)",
            "The cheapest plan of all, at most n + m − 1 links. No parameter, and a certificate: the gap is zero.",
            "min ⟨P, C⟩",
            (),
            _exact,
            "the network simplex gave up; scale the costs to the order of 1",
            on_cpu=True,
            passes=lambda _values, _mean: (250, 1_500),
        ),
        Solver(
            "sinkhorn",
            "Sinkhorn (entropic)",
            "A blurred plan that is smooth in the points and fast on large problems: ε buys smoothness with cost.",
            "min ⟨P, C⟩ + ε KL(P | a bᵀ)",
            ENTROPIC,
            _sinkhorn,
            "allow more iterations. A larger ε ends sooner too, but it answers another, more blurred problem",
            passes=_entropic_passes,
        ),
        Solver(
            "unbalanced",
            "Unbalanced Sinkhorn",
            "Mass may be left behind or invented at a price ρ a side: for outliers and for clouds of different mass.",
            "min ⟨P, C⟩ + ε KL(P | a bᵀ) + ρ₁ KL(P1 | a) + ρ₂ KL(Pᵀ1 | b)",
            UNBALANCED,
            _unbalanced,
            "allow more iterations. A larger ε or a smaller ρ ends sooner, but answers another problem",
            balanced=False,
            passes=_unbalanced_passes,
            copies=10,
        ),
        Solver(
            "ipot",
            "IPOT (proximal point)",
            "Entropic steps around the plan before, so that the blur fades: nearly exact without a simplex.",
            "min ⟨P, C⟩, by Pₜ₊₁ = argmin ⟨P, C⟩ + β KL(P | Pₜ)",
            PROXIMAL,
            _ipot,
            "allow more outer steps; the column sums are met at every step, the row sums only at the end",
            passes=lambda values, _mean: (1.4 * values["steps"], 1.4 * values["steps"]),
            copies=9,
        ),
    )
}
