"""Quadratically regularised and sparsity-constrained optimal transport.

    min_P <P, C> + gamma / 2 |P|_F^2     P >= 0, P 1 = a, P^T 1 = b, at most k non-zeros in every column (or row)

(Blondel, Seguy and Rolet, AISTATS 2018; Liu, Puigcerver and Blondel, ICLR 2023, arXiv 2209.15466.) Without ``k`` the
problem is convex and solved to the tolerance. With it, the dual solves the relaxation in which the sparse regulariser
is replaced by its convex hull; its value is a lower bound, ``D_1 >= D_2 >= ... >= D_m``, and where no column ties at
the cut its plan is optimal. At small ``k`` hundreds of columns tie. The plan that is returned keeps at most ``k``
entries a column all the same and, wherever one is found, both marginals (``feasible``); ``primal - dual`` is what that
costs. Uneven masses of which no part of the rows weighs what a part of the columns does need ``n + m - 1`` entries;
``k`` columns' worth is ``k m``. With as many rows as columns and k = 2 that leaves one entry to spare: nearly no
support will do, and none is found as a rule; with k = 3 or more there are many.

L-BFGS on the dual or the semi-dual, as the authors used it, stops at the kinks; so does every other implementation.
The default is Newton's method on smoothed semi-duals (:mod:`mlcore.transport.ksparse.proximal`), which reaches the
optimum of the relaxation and, as a by-product, a plan of the relaxation that meets both marginals to be rounded
(:mod:`mlcore.transport.ksparse.rounding`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from mlcore.transport.ksparse.columns import Columns, plain_columns
from mlcore.transport.ksparse.gradient import Ascended, adam, dual, lbfgs, semi_dual
from mlcore.transport.ksparse.lists import Candidates
from mlcore.transport.ksparse.newton import Climb, State
from mlcore.transport.ksparse.projection import simplex_conjugate
from mlcore.transport.ksparse.proximal import relaxed
from mlcore.transport.ksparse.rounding import round_to_sparse
from mlcore.transport.ksparse.spread import spread
from mlcore.transport.solution import (
    Problem,
    Solution,
    Status,
    check_problem,
    envelope,
    marginal_errors,
    status_of,
)

Side = Literal["columns", "rows"]
Method = Literal["newton", "lbfgs", "adam"]
Form = Literal["semi-dual", "dual"]

TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-8}  # L1 error of the marginals, as a share of the mass


@dataclass(frozen=True, eq=False)
class SparseSolution(Solution):
    """A solution whose plan has few entries."""

    k: int | None  # most non-zeros a column (or row) may have
    side: Side  # what is sparse
    form: Form  # which dual was climbed
    nonzeros: Tensor  # (batch, m), or (batch, n) for side "rows": entries of the plan in each
    feasible: Tensor  # (batch,) bool: marginals to the tolerance, and at most k entries
    relaxation_gap: (
        Tensor  # (batch,) how far ``dual`` may be below the optimum of the relaxation; inf if unknown
    )

    def explain(self) -> list[str]:
        """One sentence for every problem without a feasible plan: what happened and what helps."""
        told = super().explain()
        if self.k is None:
            return told
        return [f"{each}; a larger k admits more plans, and so does method='newton'" for each in told]


class _Found(NamedTuple):
    """Potentials and plans, columns first."""

    alpha: Tensor  # (batch, n)
    plan: Tensor  # (batch, m, n): what is returned
    slope: Tensor  # (batch, m, n): the gradient of the dual value with respect to the cost
    gap: Tensor
    steps: Tensor
    stalled: Tensor


def quadratic_transport(
    cost: Tensor,
    a: Tensor,
    b: Tensor,
    gamma: float,
    *,
    method: Method = "newton",
    form: Form = "semi-dual",
    tolerance: float | None = None,
    max_iterations: int = 500,
    rate: float = 1e-2,
) -> SparseSolution:
    """Transport with ``gamma / 2 |P|_F^2``: sparse plans without a bound on how sparse.

    Arguments, result and errors as in :func:`sparse_transport`; the status is CONVERGED when both marginals are met.
    """
    problem, tolerance = _checked(cost, a, b, gamma, None, "columns", max_iterations, tolerance)
    ready = _columns_first(problem, problem.cost.detach(), "columns")
    start = _first_order(*ready, gamma, None, method, form, max_iterations, rate)
    found = (
        _newton(*ready, gamma, tolerance, max_iterations)
        if start is None
        else _read_off(*ready, gamma, None, start)
    )
    return _finish(problem, ready[0], found, gamma, None, "columns", form, tolerance)


def sparse_transport(
    cost: Tensor,
    a: Tensor,
    b: Tensor,
    gamma: float,
    k: int,
    *,
    side: Side = "columns",
    method: Method = "newton",
    form: Form = "semi-dual",
    tolerance: float | None = None,
    gap: float = 1e-5,
    max_iterations: int | None = None,
    rate: float = 1e-2,
    repair: bool = True,
) -> SparseSolution:
    """Transport with at most ``k`` non-zeros in every column (or row) of the plan.

    Args:
        cost: (batch, n, m) or (n, m), float32 or float64.
        a: (batch, n) or (n,), non-negative; zero marks a padded row.
        b: (batch, m) or (m,), likewise, of the same mass.
        gamma: weight of ``|P|_F^2 / 2``. Masses enter as ``gamma b_j``: with masses 1/m useful values are about m
            times larger than with unit masses.
        k: at least one; from the number of rows (columns) on, the problem is the quadratic one.
        side: what is sparse; "rows" is "columns" of the transposed problem.
        method: "newton" climbs to the optimum of the relaxation; "lbfgs" is the authors' method; "adam" takes a fixed
            number of steps, as in a router.
        form: the dual that "lbfgs" and "adam" climb; Newton's method is on the semi-dual.
        tolerance: L1 error of the marginals of a feasible plan, as a share of the mass; by default 1e-8, in float32
            1e-4.
        gap: where Newton's method stops: relative distance of the dual value from the optimum of the relaxation.
        max_iterations: most proximal steps (default 20), L-BFGS steps (500) or Adam steps (20).
        rate: Adam's.
        repair: look for a plan that meets both marginals; without it the maximiser of the dual is returned, which
            meets those of the sparse side alone.

    The status is CONVERGED where the plan is feasible; STALLED where no feasible plan was found: the plan then keeps to
    k and to the sparse side's marginal, and misses the other by the error that is stated.
    ``cost``, ``primal`` carry the gradient of the returned plan, ``dual`` that of the relaxation (envelope theorem).

    Raises:
        ValueError: gamma, k, tolerance, gap or iterations out of range, an unknown side, method or form, or a problem
            that :func:`check_problem` refuses.
    """
    problem, tolerance = _checked(
        cost, a, b, gamma, k, side, 1 if max_iterations is None else max_iterations, tolerance
    )
    if gap <= 0:
        raise ValueError(f"gap must be positive, got {gap}")
    costs, rows, columns = _columns_first(problem, problem.cost.detach(), side)
    k = min(k, costs.shape[2])
    limit = max_iterations or {"newton": 20, "lbfgs": 500, "adam": 20}.get(method, 0)
    start = _first_order(costs, rows, columns, gamma, k, method, form, limit, rate)
    if start is None and k == costs.shape[2]:
        found = _newton(costs, rows, columns, gamma, tolerance, 25 * limit)
        return _finish(problem, costs, found, gamma, k, side, form, tolerance)
    if start is None:

        def solve(cost: Tensor, a: Tensor, b: Tensor) -> _Found:
            return _near_optimal(cost, a, b, gamma, k, gap, limit, tolerance, repair)

        found = spread(solve, costs, rows, columns)
    else:
        found = _read_off(costs, rows, columns, gamma, k, start)
        found = _repaired(costs, rows, columns, gamma, k, found, tolerance) if repair else found
    return _finish(problem, costs, found, gamma, k, side, form, tolerance)


def _near_optimal(
    cost: Tensor,
    a: Tensor,
    b: Tensor,
    gamma: float,
    k: int,
    gap: float,
    limit: int,
    tolerance: float,
    repair: bool,
) -> _Found:
    """Newton's method to the optimum of the relaxation, then a plan that keeps to k."""
    optimum = relaxed(cost, a, b, gamma, k, tolerance=gap, iterations=limit)
    settled = torch.zeros_like(optimum.gap, dtype=torch.bool)
    found = _Found(optimum.alpha, optimum.plan, optimum.plan, optimum.gap, optimum.steps, settled)
    if repair:
        return _repaired(cost, a, b, gamma, k, found, tolerance)
    plan = _maximiser(cost, b, gamma, k, optimum.alpha)
    return found._replace(plan=plan, stalled=~settled)


def _repaired(
    cost: Tensor, a: Tensor, b: Tensor, gamma: float, k: int, found: _Found, tolerance: float
) -> _Found:
    """``found`` with a plan that keeps to k and, wherever there is one, to both marginals."""
    rounded = round_to_sparse(cost, a, b, gamma, k, found.alpha, found.plan, tolerance)
    return found._replace(plan=rounded.plan, stalled=~rounded.feasible, steps=found.steps + rounded.steps)


def _checked(
    cost: Tensor,
    a: Tensor,
    b: Tensor,
    gamma: float,
    k: int | None,
    side: str,
    iterations: int,
    tolerance: float | None,
) -> tuple[Problem, float]:
    if not 0 < gamma < float("inf") or (k is not None and k < 1) or iterations < 1:
        raise ValueError(
            f"gamma must be positive, k and max_iterations at least 1, got {gamma}, {k} and {iterations}"
        )
    if side not in ("columns", "rows"):
        raise ValueError(f"side must be 'columns' or 'rows', got {side!r}")
    problem = check_problem(cost, a, b)
    tolerance = TOLERANCE.get(problem.cost.dtype, 1e-4) if tolerance is None else tolerance
    if tolerance <= 0:
        raise ValueError(f"tolerance must be positive, got {tolerance}")
    return problem, tolerance


def _columns_first(problem: Problem, cost: Tensor, side: Side) -> tuple[Tensor, Tensor, Tensor]:
    """Cost (batch, m, n), infinite where masked, and both marginals; the sparse side is the first."""
    closed = torch.where(problem.allowed, cost, torch.inf)
    a, b = problem.a.detach(), problem.b.detach()
    return (closed.mT.contiguous(), a, b) if side == "columns" else (closed.contiguous(), b, a)


def _first_order(
    cost: Tensor,
    a: Tensor,
    b: Tensor,
    gamma: float,
    k: int | None,
    method: str,
    form: str,
    limit: int,
    rate: float,
) -> Ascended | None:
    """L-BFGS or Adam; None for Newton's method."""
    if method not in ("newton", "lbfgs", "adam") or form not in ("semi-dual", "dual"):
        raise ValueError(
            f"method must be 'newton', 'lbfgs' or 'adam' and form 'semi-dual' or 'dual', got {method!r}, {form!r}"
        )
    if method == "newton":
        if form == "dual":
            raise ValueError("Newton's method is on the semi-dual; use form='semi-dual', or method='lbfgs'")
        return None
    point, objective = torch.zeros_like(a), semi_dual(cost, a, b, gamma, k)
    if form == "dual":
        point, objective = torch.cat([a, b], 1).zero_(), dual(cost, a, b, gamma, k)
    if method == "adam":
        return adam(objective, point, rate, limit)
    finite = torch.where(torch.isfinite(cost), cost, 0)
    return lbfgs(objective, point, float(finite.abs().mean()) or 1.0, limit, 4 * torch.finfo(a.dtype).eps)


def _newton(cost: Tensor, a: Tensor, b: Tensor, gamma: float, tolerance: float, iterations: int) -> _Found:
    """The quadratic problem."""
    plan, best = torch.zeros_like(cost), torch.zeros_like(a)
    steps = torch.zeros_like(a[:, 0], dtype=torch.long)
    stalled = torch.zeros_like(a[:, 0], dtype=torch.bool)
    goal = a.sum(1) * tolerance / 2

    def columns(scores: Tensor, mass: Tensor, _: Tensor, size: int) -> Columns:
        return plain_columns(scores, mass, gamma, None, size)

    def arrived(climb: Climb, state: State, there: Tensor) -> Tensor:
        which, local = climb.problem[there], there.nonzero().squeeze(1)
        entries = torch.zeros_like(climb.lists.bonus[local])
        entries.scatter_add_(2, state.columns.place[local], state.columns.plan[local])
        plan[which] = torch.zeros_like(plan[which]).scatter_(2, climb.lists.index[local], entries)
        best[which], steps[which] = state.alpha[local], climb.steps[local]
        stalled[which] = climb.stalled[local]
        return there

    climb = Climb(
        Candidates(cost, best, a > 0, 48), best.clone(), a, b, torch.ones_like(goal), columns, gamma
    )
    last = climb.run(lambda climb: goal[climb.problem], arrived, iterations)
    if last is not None:
        arrived(climb, last, torch.ones_like(climb.stalled))
    return _Found(best, plan, plan, torch.zeros_like(goal), steps, stalled)


def _read_off(cost: Tensor, a: Tensor, b: Tensor, gamma: float, k: int | None, found: Ascended) -> _Found:
    """The plan of the potentials of a first-order method."""
    alpha = found.point[:, : a.shape[1]]
    plan = _maximiser(cost, b, gamma, k, alpha)
    unknown = torch.full_like(found.value, torch.inf)
    return _Found(alpha, plan, plan, unknown, found.steps, torch.zeros_like(unknown, dtype=torch.bool))


def _maximiser(cost: Tensor, b: Tensor, gamma: float, k: int | None, alpha: Tensor) -> Tensor:
    return simplex_conjugate(alpha.unsqueeze(1) - cost, b, gamma, k).dense(cost.shape[2])


def _finish(
    problem: Problem,
    closed: Tensor,
    found: _Found,
    gamma: float,
    k: int | None,
    side: Side,
    form: Form,
    tolerance: float,
) -> SparseSolution:
    a, b = problem.a.detach(), problem.b.detach()
    a, b = (a, b) if side == "columns" else (b, a)
    alpha = torch.where(a > 0, found.alpha, 0)
    conjugate = simplex_conjugate(alpha.unsqueeze(1) - closed, b, gamma, k)
    beta = torch.where(b > 0, -conjugate.threshold, 0)
    bound = (alpha * a).sum(1) - conjugate.value.sum(1)
    nonzeros = (found.plan > 0).sum(2)
    f, g = (alpha, beta) if side == "columns" else (beta, alpha)
    plan, slope = (each.mT if side == "columns" else each for each in (found.plan, found.slope))
    plan = plan.contiguous()

    value = (plan * problem.cost.detach()).sum((1, 2))
    primal = value + gamma / 2 * plan.square().sum((1, 2))
    row_error, column_error = marginal_errors(plan, problem.a.detach(), problem.b.detach())
    error, mass = torch.maximum(row_error, column_error), problem.a.detach().sum(1)
    finite = torch.isfinite(primal) & torch.isfinite(bound)
    few = nonzeros.amax(1) <= (closed.shape[2] if k is None else k)
    status = status_of(torch.where(few, error, torch.inf), mass, tolerance, finite, stalled=found.stalled)
    status[finite & ~few] = Status.STALLED
    weights = (f * (problem.a - problem.a.detach())).sum(1) + (g * (problem.b - problem.b.detach())).sum(1)
    entries = "non-zero" if k == 1 else "non-zeros"
    sparse = "" if k is None else f", at most {k} {entries} in each of the {side}"
    solution = SparseSolution(
        plan=plan,
        f=f,
        g=g,
        cost=envelope(value, plan, problem.cost),
        primal=envelope(primal, plan, problem.cost) + weights,
        dual=envelope(bound, slope, problem.cost) + weights,
        row_error=row_error,
        column_error=column_error,
        iterations=found.steps,
        status=status,
        tolerance=tolerance,
        regulariser=f"quadratic: {gamma:g} / 2 * |P|^2{sparse}",
        k=k,
        side=side,
        form=form,
        nonzeros=nonzeros,
        feasible=(status == Status.CONVERGED),
        relaxation_gap=found.gap,
    )
    unbatched = problem.unbatched(solution)
    assert isinstance(unbatched, SparseSolution)
    return unbatched
