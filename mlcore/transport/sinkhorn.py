"""Entropic optimal transport: balanced problems in batches with masks, to a stated marginal error.

``min_P <P, C> + eps KL(P | a b')`` over plans with row sums ``a`` and column sums ``b`` (Cuturi, NeurIPS 2013). The way
there: ``eps`` falls in steps from the scale of the costs (annealing), every step is solved loosely by Sinkhorn
iterations in the scaling domain (:mod:`.scaling`), and the last, where few columns make factorisations cheap, is
finished by Newton's method (:mod:`.newton`). Problems leave the batch as soon as they are done.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mlcore.transport.newton import newton
from mlcore.transport.scaling import floor_of, scale, softmax_columns
from mlcore.transport.solution import (
    Problem,
    Solution,
    check_problem,
    envelope,
    status_of,
)

#: eps starts where the costs of a problem spread over this many of it, and falls by _FALL
_START = 64.0
_FALL = 4.0
#: L1 error, as a share of the mass, to which the steps before the last are solved
_LOOSE = 0.05
_LOOSE_ITERATIONS = 48
#: with at most so many rows or columns, Newton's method takes over after _PATIENCE iterations of the last step
_FEW = 64
_PATIENCE = 8
_NEWTON_ITERATIONS = 40


@dataclass(frozen=True, eq=False)
class EntropicSolution(Solution):
    """``primal`` is ``<P, C> + eps KL(P | a b')``; ``entropic`` is ``<P, C> - eps H(P)`` with ``H = -sum P log P``."""

    epsilon: Tensor  # (batch,) absolute
    entropic: Tensor  # (batch,)


def uniform(cost: Tensor, axis: int) -> Tensor:
    """Equal weights over an axis of ``cost`` (…, n, m): 1 for the rows, 2 for the columns (of a batch)."""
    size = cost.shape[axis - 3]
    return cost.new_full((size,), 1.0 / size)


def absolute_epsilon(problem: Problem, epsilon: float | Tensor, relative: str | None) -> Tensor:
    """``epsilon`` (batch,) in the units of the cost.

    ``relative`` names the statistic of the allowed costs that ``epsilon`` is a share of: ``"mean"``, ``"max"`` or
    ``"std"``; ``None`` takes it as it is. It carries no gradient.

    Raises:
        ValueError: an unknown statistic, or an epsilon that is not positive and finite.
    """
    cost = problem.cost.detach()
    share = torch.as_tensor(epsilon, dtype=cost.dtype, device=cost.device).expand(len(cost))
    if relative not in (None, "mean", "max", "std"):
        raise ValueError(
            f"epsilon can be relative to 'mean', 'max' or 'std' of the cost, not to {relative!r}"
        )
    found = share
    if relative == "max":
        found = share * cost.flatten(1).amax(1)
    elif relative is not None:
        count = (problem.a > 0).sum(1) * (problem.b > 0).sum(1)
        mean = cost.sum((1, 2)) / count
        spread = torch.where(problem.allowed, cost - mean.view(-1, 1, 1), 0)
        found = share * (mean if relative == "mean" else (spread.square().sum((1, 2)) / count).sqrt())
    if not bool((torch.isfinite(found) & (found > 0)).all()):
        raise ValueError(
            f"epsilon must be positive, got {found.tolist()[:4]}; a share of a statistic needs costs above zero"
        )
    return found


def default_tolerance(dtype: torch.dtype) -> float:
    """L1 marginal error, as a share of the mass, that the type reaches without effort."""
    return 1e-5 if dtype == torch.float32 else 1e-9


def sinkhorn(
    cost: Tensor,
    a: Tensor | None = None,
    b: Tensor | None = None,
    epsilon: float | Tensor = 0.05,
    *,
    relative: str | None = None,
    tolerance: float | None = None,
    max_iterations: int = 20_000,
    start: tuple[Tensor, Tensor] | None = None,
) -> EntropicSolution:
    """Entropic plans of a batch of problems.

    Args:
        cost: (batch, n, m) or (n, m); entries without mass on both sides are ignored.
        a, b: (batch, n) and (batch, m), or without a batch; non-negative with equal sums, zero where padded. Uniform
            when left out.
        epsilon: strength of the entropy, one number or (batch,).
        relative: statistic that ``epsilon`` is a share of, see :func:`absolute_epsilon`.
        tolerance: L1 error of either marginal as a share of the mass.
        max_iterations: of the last step; the steps of the annealing take at most a few dozen each.
        start: potentials ``f``, ``g`` of a similar problem; the annealing is left out.

    Raises:
        ValueError: see :func:`~mlcore.transport.solution.check_problem` and :func:`absolute_epsilon`.
    """
    problem = check_problem(cost, uniform(cost, 1) if a is None else a, uniform(cost, 2) if b is None else b)
    eps = absolute_epsilon(problem, epsilon, relative)
    goal = default_tolerance(cost.dtype) if tolerance is None else tolerance
    with torch.no_grad():
        oriented = _Oriented.of(problem)
        gamma, iterations = _solve(oriented, eps, goal, max_iterations, start)
    return problem.unbatched(_finish(problem, oriented, eps, goal, gamma, iterations))  # type: ignore[return-value]


@dataclass(frozen=True, eq=False)
class _Oriented:
    """A problem with its fewer side first: those are its *columns* here, whatever they were."""

    minus: Tensor  # (batch, columns, rows) -C, zero where masked
    a: Tensor  # (batch, rows)
    b: Tensor  # (batch, columns)
    turned: bool  # the caller's columns are the columns here, so that his costs were transposed

    @classmethod
    def of(cls, problem: Problem) -> _Oriented:
        turned = problem.cost.shape[2] <= problem.cost.shape[1]
        a, b = (problem.a, problem.b) if turned else (problem.b, problem.a)
        a, b, minus = a.detach(), b.detach(), problem.cost.detach().neg()
        minus = minus.mT.contiguous() if turned else minus
        return cls(minus, a, b, turned)

    def levels(self, eps: Tensor) -> Tensor:
        """The eps (batch,) of the first step of the annealing: a share of the spread of the costs."""
        spread = self.minus.amax((1, 2)) - self.minus.amin((1, 2))
        rows, columns = (self.a > 0).to(eps.dtype), (self.b > 0).to(eps.dtype)
        if bool((spread > _START * eps).any()) and not bool(rows.all() and columns.all()):
            # the zeros of the mask may lie far from the costs: put a real cost of the problem in their place
            place = torch.arange(len(self.minus), device=eps.device)
            some = self.minus[place, columns.argmax(1), rows.argmax(1)].view(-1, 1, 1)
            moved = (self.minus - some).mul_(columns.unsqueeze(2)).mul_(rows.unsqueeze(1))
            spread = moved.amax((1, 2)) - moved.amin((1, 2))
        return spread / _START


def _solve(
    given: _Oriented, eps: Tensor, tolerance: float, most: int, start: tuple[Tensor, Tensor] | None
) -> tuple[Tensor, Tensor]:
    """Raw potentials of the columns (batch, m), and iterations (batch,)."""
    minus, a, b = given.minus, given.a, given.b
    mass = a.sum(1)
    last = 0.8 * tolerance * mass  # the plan is made anew from the potentials: leave room for its rounding
    g = torch.zeros_like(b) if start is None else start[1 if given.turned else 0].reshape(b.shape)
    iterations = torch.zeros_like(eps, dtype=torch.long)
    log_b = b.log()
    if start is None:
        level = given.levels(eps)
        while bool((level > eps).any()):
            now = torch.maximum(level, eps)
            found = scale(minus, a, b, now, g + now.unsqueeze(1) * log_b, _LOOSE * mass, _LOOSE_ITERATIONS)
            g = torch.where(b > 0, found.gamma - now.unsqueeze(1) * log_b, 0)
            iterations += found.iterations
            level = level / _FALL
    gamma = g + eps.unsqueeze(1) * log_b
    few = b.shape[1] <= _FEW
    found = scale(minus, a, b, eps, gamma, last, _PATIENCE if few else most)
    gamma, error = found.gamma, found.error
    iterations += found.iterations
    if few and most > _PATIENCE:
        for solver, limit in ((newton, _NEWTON_ITERATIONS), (scale, most)):
            poor = ~(error <= last)
            if not bool(poor.any()):
                break
            left = slice(None) if bool(poor.all()) else poor
            found = solver(minus[left], a[left], b[left], eps[left], gamma[left], last[left], limit)
            gamma[left], error[left] = found.gamma, found.error
            iterations[left] += found.iterations
    return gamma, iterations


def _finish(
    problem: Problem, given: _Oriented, eps: Tensor, tolerance: float, gamma: Tensor, iterations: Tensor
) -> EntropicSolution:
    """The solution of the columns' potentials: rows are exact, columns as good as the potentials."""
    cost, a, b = problem.cost, problem.a, problem.b
    with torch.no_grad():
        weights, top, total = softmax_columns(given.minus, gamma, eps)
        nothing = 1.1 * math.exp(floor_of(cost.dtype))
        plan = torch.threshold_(weights, nothing, 0.0).mul_((given.a / total).unsqueeze(1))
        phi = eps.unsqueeze(1) * (given.a.log() - top - total.log())
        linear = -torch.linalg.vecdot(plan.flatten(1), given.minus.flatten(1))
        plan, phi, gamma = (plan.mT.contiguous(), phi, gamma) if given.turned else (plan, gamma, phi)
        f = torch.where(a > 0, phi - eps.unsqueeze(1) * a.log(), 0)
        g = torch.where(b > 0, gamma - eps.unsqueeze(1) * b.log(), 0)
        rows, columns = plan.sum(2), plan.sum(1)
        row_error, column_error = (rows - a).abs().sum(1), (columns - b).abs().sum(1)
        mass, total = a.sum(1), rows.sum(1)
        status = status_of(torch.maximum(row_error, column_error), mass, tolerance, torch.isfinite(total))
        free = eps * (mass.square() - total)
        kept = (rows * f).sum(1) + (columns * g).sum(1)
        raw = (rows * torch.where(a > 0, phi, 0)).sum(1) + (columns * torch.where(b > 0, gamma, 0)).sum(1)
    dual = (a * f).sum(1) + (b * g).sum(1) + free
    carried = envelope(torch.zeros_like(linear), plan, cost)
    if cost.requires_grad:
        dual = dual + carried
    return EntropicSolution(
        plan=plan,
        f=f,
        g=g,
        cost=linear + carried,
        primal=kept + free + carried,
        dual=dual,
        row_error=row_error,
        column_error=column_error,
        iterations=iterations,
        status=status,
        tolerance=tolerance,
        regulariser=f"eps KL(P | a b'), eps from {float(eps.min()):.4g} to {float(eps.max()):.4g}",
        epsilon=eps,
        entropic=raw + carried,  # since eps log P = phi + gamma - C
    )
