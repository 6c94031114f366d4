"""What a solver of the laboratory takes and gives, and how a strength given as a share becomes absolute.

A strength (``epsilon``, ``rho_a``, ``rho_b``, ``beta``, ``gamma``) is a share of a statistic of the costs, named by
``relative``, so that it means the same whatever the unit of the coordinates; ``relative="absolute"`` takes it as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from mlcore.runtime.errors import InputError
from mlcore.transport.laboratory.parameters import Parameter
from mlcore.transport.solution import Solution, Status


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
    fault: str = ""  # what the plan misses, in words, where the marginal errors do not say it


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


def of_solution(solution: Solution, *, fault: str = "", **further: float) -> Outcome:
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
        fault=fault,
    )
