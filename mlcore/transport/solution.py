"""What every solver takes and gives: a checked batch of problems, and a solution that says how far to trust it."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from enum import IntEnum
from typing import Any

import torch
from torch import Tensor


class Status(IntEnum):
    """How a solver ended on one problem."""

    CONVERGED = 0  # both marginals are met to the tolerance
    ITERATION_LIMIT = 1
    STALLED = 2  # it cannot do better at this precision
    NOT_FINITE = 3  # the plan is not a number somewhere


_REMEDIES = {
    Status.ITERATION_LIMIT: "the iterations ran out; allow more",
    Status.STALLED: "the steps no longer improve; use float64",
    Status.NOT_FINITE: "the plan is not finite; check the scale of the costs",
}
_SOFTER = ", or regularise more strongly"


@dataclass(frozen=True, eq=False)
class Solution:
    """One entry per problem; without a batch axis when the problem had none.

    ``cost`` and ``primal`` and ``dual`` carry gradients with respect to the cost matrix by the envelope theorem (the
    plan held fixed); values may also carry that with respect to the marginals, the potentials. Nothing is unrolled.
    """

    plan: Tensor  # (batch, n, m), zero where masked
    f: Tensor  # (batch, n) potential of the rows, zero where masked
    g: Tensor  # (batch, m) potential of the columns, zero where masked
    cost: Tensor  # (batch,) <P, C>
    primal: Tensor  # (batch,) the regularised value of the plan, what is minimised
    dual: Tensor  # (batch,) the dual value of the potentials, a lower bound of the optimum
    row_error: Tensor  # (batch,) L1 distance of the row sums from a
    column_error: Tensor  # (batch,) L1 distance of the column sums from b
    iterations: Tensor  # (batch,) int
    status: Tensor  # (batch,) uint8 of Status
    tolerance: float  # on the larger of both errors, as a share of the mass
    regulariser: str  # what was added to the cost, in absolute terms

    @property
    def converged(self) -> Tensor:
        """(batch,) bool."""
        return self.status == Status.CONVERGED

    def explain(self) -> list[str]:
        """One sentence for every problem that did not converge: what happened and what helps."""
        states = torch.atleast_1d(self.status).tolist()
        errors = torch.atleast_1d(torch.maximum(self.row_error, self.column_error)).tolist()
        gaps = torch.atleast_1d(self.primal - self.dual).tolist()
        steps = torch.atleast_1d(self.iterations).tolist()
        return [
            f"problem {number}: marginal error {error:.2g} and duality gap {gap:.2g} after {count} iterations "
            f"(tolerance {self.tolerance:.2g}): {_REMEDIES[Status(state)]}"
            f"{'' if self.regulariser == 'none' else _SOFTER}"
            for number, (state, error, gap, count) in enumerate(zip(states, errors, gaps, steps, strict=True))
            if state != Status.CONVERGED
        ]


@dataclass(frozen=True, eq=False)
class Problem:
    """A checked batch: marginals of equal mass, and where mass may go."""

    cost: Tensor  # (batch, n, m), zero where masked
    a: Tensor  # (batch, n)
    b: Tensor  # (batch, m)
    batched: bool

    @property
    def allowed(self) -> Tensor:
        """Where mass may go, (batch, n, m) bool."""
        return (self.a > 0).unsqueeze(2) & (self.b > 0).unsqueeze(1)

    def unbatched(self, solution: Solution) -> Solution:
        """``solution`` without the batch axis where the problem came without one."""
        if self.batched:
            return solution
        tensors: dict[str, Any] = {
            part.name: value[0]
            for part in fields(solution)
            if isinstance(value := getattr(solution, part.name), Tensor)
        }
        return replace(solution, **tensors)


def check_problem(cost: Tensor, a: Tensor, b: Tensor, *, balanced: bool = True) -> Problem:
    """Check and complete a problem.

    Args:
        cost: (batch, n, m) or (n, m), finite where both marginals are positive, anything elsewhere.
        a: (batch, n) or (n,), non-negative; zero marks a padded row. Shared by all problems when without a batch.
        b: (batch, m) or (m,), likewise.
        balanced: both must have the same mass; within rounding ``b`` is rescaled to that of ``a``.

    Raises:
        ValueError: shapes, types or devices that do not fit, a negative or empty marginal, unequal masses (both sums
            are named), or a cost that is not finite where mass may go.
    """
    batched = cost.dim() == 3
    if cost.dim() not in (2, 3) or cost.dtype not in (torch.float32, torch.float64):
        raise ValueError(
            f"the cost must be a float32 or float64 tensor (batch, n, m), got {tuple(cost.shape)} {cost.dtype}"
        )
    if not batched:
        cost = cost.unsqueeze(0)
    a, b = (_marginal(name, each, cost, axis) for name, each, axis in (("a", a, 1), ("b", b, 2)))
    mass_a, mass_b = a.detach().sum(1), b.detach().sum(1)
    if not bool((mass_a > 0).all() and (mass_b > 0).all()):
        raise ValueError("a marginal has no mass; every problem needs at least one row and one column")
    if balanced:
        slack = 64 * torch.finfo(cost.dtype).eps * max(cost.shape[1:]) ** 0.5
        worst = int(((mass_a - mass_b).abs() / mass_a).argmax())
        if float((mass_a - mass_b)[worst].abs()) > slack * float(mass_a[worst]):
            raise ValueError(
                f"the marginals of problem {worst} have different masses, {float(mass_a[worst]):.9g} and "
                f"{float(mass_b[worst]):.9g}; rescale one, or solve the unbalanced problem"
            )
        b = b * (mass_a / mass_b).unsqueeze(1)
    problem = Problem(_masked(cost, a, b), a, b, batched)
    found = problem.cost.detach()
    if not bool(torch.isfinite(found.sum()) or torch.isfinite(found).all()):
        raise ValueError("the cost is not finite where mass may go; check the points for NaN")
    return problem


def _masked(cost: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """``cost`` with zeros where there is no mass; a product where all is finite, which is much the faster."""
    rows, columns = (a > 0).unsqueeze(2), (b > 0).unsqueeze(1)
    if bool(rows.all() and columns.all()):
        return cost
    if bool(torch.isfinite(cost.detach().sum())):
        return cost * rows.to(cost.dtype) * columns.to(cost.dtype)
    return torch.where(rows & columns, cost, 0)


def _marginal(name: str, given: Tensor, cost: Tensor, axis: int) -> Tensor:
    shape = (cost.shape[0], cost.shape[axis])
    if given.dim() == 1:
        given = given.unsqueeze(0).expand(shape) if given.shape[0] == shape[1] else given
    if given.shape != shape:
        raise ValueError(
            f"{name} must be {shape} to fit the cost {tuple(cost.shape)}, got {tuple(given.shape)}"
        )
    if given.dtype != cost.dtype or given.device != cost.device:
        raise ValueError(
            f"{name} is {given.dtype} on {given.device}, the cost {cost.dtype} on {cost.device}; use one of both"
        )
    if not bool((given >= 0).all()):
        raise ValueError(f"{name} has a negative entry or one that is not a number")
    return given


def marginal_errors(plan: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """L1 distances of the sums of ``plan`` (batch, n, m) from ``a`` and ``b``: (batch,) each."""
    return (plan.sum(2) - a).abs().sum(1), (plan.sum(1) - b).abs().sum(1)


def envelope(value: Tensor, plan: Tensor, cost: Tensor) -> Tensor:
    """``value`` (batch,) with the gradient of ``<plan, cost>`` at a fixed plan (Danskin)."""
    if not cost.requires_grad:
        return value.detach()
    linear = (plan.detach() * cost).sum((1, 2))
    return value.detach() + linear - linear.detach()


def status_of(
    error: Tensor, mass: Tensor, tolerance: float, finite: Tensor, *, stalled: Tensor | None = None
) -> Tensor:
    """Status (batch,) uint8 from the larger marginal error of every problem; never converged with NaN."""
    found = torch.full_like(error, Status.ITERATION_LIMIT, dtype=torch.uint8)
    if stalled is not None:
        found[stalled] = Status.STALLED
    found[error <= tolerance * mass] = Status.CONVERGED
    found[~(finite & torch.isfinite(error))] = Status.NOT_FINITE
    return found
