"""Unbalanced entropic transport: marginals are asked for, not demanded.

``min_P <P, C> + eps KL(P | a b') + rho_a KL(P 1 | a) + rho_b KL(P' 1 | b)`` (Chizat et al., Math. Comp. 2018), by
Sinkhorn iterations in the log domain whose steps are damped by ``rho / (rho + eps)``. An infinite ``rho`` demands that
side; with both infinite this is :func:`~mlcore.transport.sinkhorn.sinkhorn`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mlcore.transport.scaling import softmax_columns
from mlcore.transport.sinkhorn import EntropicSolution, absolute_epsilon, default_tolerance, uniform
from mlcore.transport.solution import Problem, check_problem, envelope, status_of

_LOOK = 10
_FALL = 4.0
_START = 16.0
_LEVEL_ITERATIONS = 50


@dataclass(frozen=True, eq=False)
class UnbalancedSolution(EntropicSolution):
    """``row_error`` and ``column_error`` are L1 distances of the plan's sums from those that the potentials ask for."""

    mass: Tensor  # (batch,) of the plan
    row_penalty: Tensor  # (batch,) rho_a KL(P 1 | a)
    column_penalty: Tensor  # (batch,) rho_b KL(P' 1 | b)


def unbalanced_sinkhorn(
    cost: Tensor,
    a: Tensor | None = None,
    b: Tensor | None = None,
    epsilon: float | Tensor = 0.05,
    *,
    rho_a: float,
    rho_b: float,
    relative: str | None = None,
    tolerance: float | None = None,
    max_iterations: int = 20_000,
) -> UnbalancedSolution:
    """Plans of a batch of problems whose masses may differ; arguments as for the balanced problem.

    Args:
        rho_a, rho_b: prices of leaving ``a`` and ``b``, in the units of the cost, positive, possibly infinite.

    Raises:
        ValueError: a price that is not positive, both infinite with unequal masses, and as for the balanced problem.
    """
    if not (rho_a > 0 and rho_b > 0):
        raise ValueError(f"rho_a and rho_b must be positive, got {rho_a} and {rho_b}")
    given_a, given_b = (uniform(cost, 1) if a is None else a), (uniform(cost, 2) if b is None else b)
    problem = check_problem(cost, given_a, given_b, balanced=math.isinf(rho_a) and math.isinf(rho_b))
    eps = absolute_epsilon(problem, epsilon, relative)
    goal = default_tolerance(cost.dtype) if tolerance is None else tolerance
    with torch.no_grad():
        f, g, iterations = _solve(problem, eps, rho_a, rho_b, goal, max_iterations)
    return problem.unbatched(_finish(problem, eps, (rho_a, rho_b), goal, f, g, iterations))  # type: ignore[return-value]


def _solve(
    problem: Problem, eps: Tensor, rho_a: float, rho_b: float, tolerance: float, most: int
) -> tuple[Tensor, Tensor, Tensor]:
    minus = problem.cost.detach().neg()
    a, b = problem.a.detach(), problem.b.detach()
    f, g = torch.zeros_like(a), torch.zeros_like(b)
    iterations = torch.zeros_like(eps, dtype=torch.long)
    spread = minus.flatten(1)
    level = (spread.amax(1) - spread.amin(1)) / _START
    while True:
        now = torch.maximum(level, eps)
        last = not bool((level > eps).any())
        f, g, used = _iterate(
            minus, a, b, f, g, now, rho_a, rho_b, tolerance, most if last else _LEVEL_ITERATIONS
        )
        iterations += used
        if last:
            return f, g, iterations
        level = level / _FALL


def _iterate(
    minus: Tensor,
    a: Tensor,
    b: Tensor,
    f: Tensor,
    g: Tensor,
    eps: Tensor,
    rho_a: float,
    rho_b: float,
    tolerance: float,
    most: int,
) -> tuple[Tensor, Tensor, int]:
    step = eps.unsqueeze(1)
    damp_a, damp_b = _damping(rho_a, step), _damping(rho_b, step)
    turned, log_a, log_b = minus.mT.contiguous(), step * a.log(), step * b.log()
    for done in range(1, most + 1):
        _, top, total = softmax_columns(minus, f + log_a, eps)
        g_new = torch.where(b > 0, -damp_b * step * (top + total.log()), 0)
        _, top, total = softmax_columns(turned, g_new + log_b, eps)
        f_new = torch.where(a > 0, -damp_a * step * (top + total.log()), 0)
        moved = torch.maximum((f_new - f).abs().amax(1), (g_new - g).abs().amax(1)) / eps
        f, g = f_new, g_new
        if done % _LOOK == 0 and not bool((moved > 0.25 * tolerance).any()):
            break
    return f, g, done


def _damping(rho: float, step: Tensor) -> Tensor | float:
    return 1.0 if math.isinf(rho) else rho / (rho + step)


def _finish(
    problem: Problem,
    eps: Tensor,
    prices: tuple[float, float],
    tolerance: float,
    f: Tensor,
    g: Tensor,
    iterations: Tensor,
) -> UnbalancedSolution:
    cost, a, b = problem.cost, problem.a, problem.b
    with torch.no_grad():
        scaled = (f.unsqueeze(2) + g.unsqueeze(1) - cost.detach()).div_(eps.view(-1, 1, 1))
        plan = scaled.exp_() * a.unsqueeze(2) * b.unsqueeze(1)
        rows, columns = plan.sum(2), plan.sum(1)
        wanted = [
            each if math.isinf(rho) else each * (-potential / rho).exp()
            for each, potential, rho in ((a, f, prices[0]), (b, g, prices[1]))
        ]
        row_error, column_error = (rows - wanted[0]).abs().sum(1), (columns - wanted[1]).abs().sum(1)
        mass = rows.sum(1)
        status = status_of(torch.maximum(row_error, column_error), mass, tolerance, torch.isfinite(mass))
        linear = (plan * cost.detach()).sum((1, 2))
        product = a.sum(1) * b.sum(1)
        divergence = ((rows * f).sum(1) + (columns * g).sum(1) - linear) / eps - mass + product
        penalties = [
            _penalty(sums, each, rho) for sums, each, rho in ((rows, a, prices[0]), (columns, b, prices[1]))
        ]
        entropic = linear + eps * torch.special.xlogy(plan, plan).sum((1, 2))
        value = sum(
            (
                (each * potential).sum(1)
                if math.isinf(rho)
                else rho * (each * -torch.expm1(-potential / rho)).sum(1)
            )
            for each, potential, rho in ((a, f, prices[0]), (b, g, prices[1]))
        )
    carried = envelope(torch.zeros_like(linear), plan, cost)
    return UnbalancedSolution(
        plan=plan,
        f=f,
        g=g,
        cost=linear + carried,
        primal=linear + eps * divergence + penalties[0] + penalties[1] + carried,
        dual=value + eps * (product - mass) + carried,
        row_error=row_error,
        column_error=column_error,
        iterations=iterations,
        status=status,
        tolerance=tolerance,
        regulariser=f"eps KL(P | a b') + {prices[0]:.4g} KL(P 1 | a) + {prices[1]:.4g} KL(P' 1 | b), "
        f"eps from {float(eps.min()):.4g} to {float(eps.max()):.4g}",
        epsilon=eps,
        entropic=entropic + carried,
        mass=mass,
        row_penalty=penalties[0],
        column_penalty=penalties[1],
    )


def _penalty(sums: Tensor, wanted: Tensor, rho: float) -> Tensor:
    """``rho KL(sums | wanted)``; zero on a side that is demanded."""
    if math.isinf(rho):
        return sums.new_zeros(len(sums))
    ratio = torch.where(wanted > 0, sums / wanted.clamp(min=torch.finfo(sums.dtype).tiny), 1.0)
    return rho * (torch.special.xlogy(sums, ratio).sum(1) - sums.sum(1) + wanted.sum(1))
