"""Unregularised transport to machine precision: POT's network simplex, SciPy's assignment, and the line in closed form.

    min_P <P, C>  with P >= 0, P 1 = a, P^T 1 = b      =      max_{f, g} <f, a> + <g, b>  with f_i + g_j <= C_ij

The solvers run on the CPU in float64, whatever the type and the device of the tensors.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import ot
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from mlcore.transport.solution import (
    Problem,
    Solution,
    Status,
    check_problem,
    envelope,
    marginal_errors,
    status_of,
)

Array = NDArray[np.float64]

TOLERANCE = {
    torch.float32: 1e-5,
    torch.float64: 1e-9,
}  # marginal error and duality gap that rounding may leave
THREADED = (
    150 * 150
)  # entries of a problem from which threads pay; both solvers let go of the interpreter lock
OPTIMAL, LIMIT = 1, 3  # result codes of POT's network simplex


class _Solved(NamedTuple):
    plan: Array
    f: Array
    g: Array
    code: int
    certified: bool  # the potentials are meant to be optimal


def exact_transport(
    cost: Tensor,
    a: Tensor,
    b: Tensor,
    *,
    potentials: bool = True,
    iterations: int = 10_000_000,
    workers: int | None = None,
) -> Solution:
    """Optimal plans and potentials of a batch of transport problems.

    Args:
        cost: (batch, n, m) or (n, m).
        a: (batch, n) or (n,), non-negative; zero marks a padded row, which the solver does not see.
        b: (batch, m) or (m,), likewise, of the same mass.
        potentials: without them, square problems with equal weights are solved as assignments, usually faster; ``f``
            and ``g`` are then feasible but not optimal, and ``dual`` is a loose bound.
        iterations: pivots of the network simplex. A problem that needs more is marked ITERATION_LIMIT; its plan may
            miss its marginals, and ``dual`` is still a lower bound of the optimum.
        workers: threads over the problems of the batch; by default as many as torch uses for large problems, else one.

    ``f_i + g_j <= C_ij`` holds everywhere, so ``dual`` is a true lower bound (to the rounding of the type). A problem
    is CONVERGED when its marginals are met and, with ``potentials``, the duality gap is closed; STALLED when the gap
    stays open at this precision. ``cost``, ``primal`` and ``dual`` carry the gradient ``plan`` with respect to the
    cost, ``primal`` and ``dual`` also ``f`` and ``g`` with respect to the marginals: subgradients where the optimum is
    not unique. The solvers do not count their pivots: ``iterations`` is the limit where it was reached, else 0.

    Raises:
        ValueError: see :func:`check_problem`; ``iterations`` or ``workers`` below one; marginals that require a
            gradient, without ``potentials``.
    """
    if iterations < 1 or (workers is not None and workers < 1):
        raise ValueError(f"iterations and workers must be at least 1, got {iterations} and {workers}")
    if not potentials and (a.requires_grad or b.requires_grad):
        raise ValueError("the gradient of the marginals is that of the potentials; use potentials=True")
    problem = check_problem(cost, a, b)
    size = problem.cost[0].numel()
    threads = workers or (torch.get_num_threads() if size >= THREADED else 1)

    def solve(number: int) -> _Solved:
        return _solve(problem, number, potentials, iterations)

    numbers = range(len(problem.cost))
    with warnings.catch_warnings():  # what POT warns of is in the status
        warnings.filterwarnings("ignore", category=UserWarning, module=r"ot\.")
        if min(threads, len(numbers)) > 1:
            with ThreadPoolExecutor(min(threads, len(numbers))) as pool:
                solved = list(pool.map(solve, numbers))
        else:
            solved = [solve(number) for number in numbers]
    return problem.unbatched(_finish(problem, solved, iterations))


def one_dimensional(x: Tensor, y: Tensor, a: Tensor, b: Tensor, p: float = 1.0) -> Tensor:
    """``W_p^p`` on the line, (...,): ``int_0^mass |F^-1(t) - G^-1(t)|^p dt`` with the quantiles of both measures.

    ``x`` and ``a`` are (..., n), ``y`` and ``b`` (..., m), weights non-negative and of equal mass. Optimal for every
    cost ``|x - y|^p`` with p >= 1.

    Raises:
        ValueError: p below one, or unequal masses.
    """
    mass_a, mass_b = a.sum(-1), b.sum(-1)
    slack = 64 * torch.finfo(a.dtype).eps * max(a.shape[-1], b.shape[-1]) ** 0.5
    if p < 1 or bool(((mass_a - mass_b).abs() > slack * mass_a).any()):
        raise ValueError(
            f"one_dimensional: p must be at least 1 and masses equal, got p={p}, "
            f"{mass_a.tolist()} and {mass_b.tolist()}"
        )
    x, order_x = x.sort(-1)
    y, order_y = y.sort(-1)
    to_x, to_y = a.gather(-1, order_x).cumsum(-1), b.gather(-1, order_y).cumsum(-1)
    levels = torch.cat([to_x, to_y], -1).sort(-1).values
    widths = levels.diff(dim=-1, prepend=torch.zeros_like(levels[..., :1]))
    middles = levels - 0.5 * widths  # between two levels both quantile functions are constant
    at_x = torch.searchsorted(to_x.contiguous(), middles).clamp(max=x.shape[-1] - 1)
    at_y = torch.searchsorted(to_y.contiguous(), middles).clamp(max=y.shape[-1] - 1)
    return (widths * (x.gather(-1, at_x) - y.gather(-1, at_y)).abs().pow(p)).sum(-1)


def _solve(problem: Problem, number: int, potentials: bool, iterations: int) -> _Solved:
    cost, a, b = (
        each[number].detach().double().cpu().numpy() for each in (problem.cost, problem.a, problem.b)
    )
    rows, columns = np.flatnonzero(a), np.flatnonzero(b)
    full = len(rows) == len(a) and len(columns) == len(b)
    real = cost if full else cost[np.ix_(rows, columns)]
    if not potentials and len(rows) == len(columns) and _equal(a[rows]) and _equal(b[columns]):
        inner = _assign(real, a[rows[0]])
    else:
        inner = _simplex(real, a[rows], b[columns], iterations)
    if full:
        return inner
    plan, f, g = np.zeros_like(cost), np.zeros_like(a), np.zeros_like(b)
    plan[np.ix_(rows, columns)], f[rows], g[columns] = inner.plan, inner.f, inner.g
    return inner._replace(plan=plan, f=f, g=g)


def _simplex(cost: Array, a: Array, b: Array, iterations: int) -> _Solved:
    b = b * (a.sum() / b.sum())  # equal to the last bit of float64, as the solver expects
    plan, log = ot.emd(a, b, cost, numItermax=iterations, log=True, check_marginals=False)
    return _Solved(plan, *_feasible(cost, log["u"]), log["result_code"], certified=True)


def _assign(cost: Array, weight: float) -> _Solved:
    plan = np.zeros_like(cost)
    plan[linear_sum_assignment(cost)] = weight
    return _Solved(plan, *_feasible(cost, np.zeros(len(cost))), OPTIMAL, certified=False)


def _feasible(cost: Array, f: Array) -> tuple[Array, Array]:
    """Potentials with ``f_i + g_j <= C_ij``, no worse than those given: one c-transform on each side."""
    g = (cost - f[:, None]).min(0)
    return (cost - g).min(1), g


def _equal(weights: Array) -> bool:
    return bool((weights == weights[0]).all())


def _finish(problem: Problem, solved: list[_Solved], iterations: int) -> Solution:
    cost, a, b = problem.cost, problem.a, problem.b

    def stacked(parts: Iterator[Array]) -> Tensor:
        return torch.from_numpy(np.stack(list(parts))).to(cost)

    plan = stacked(each.plan for each in solved)
    f, g = stacked(each.f for each in solved), stacked(each.g for each in solved)
    value = (plan * cost.detach()).sum((1, 2))
    bound = ((f * a).sum(1) + (g * b).sum(1)).detach()
    weights = (f * (a - a.detach())).sum(1) + (g * (b - b.detach())).sum(
        1
    )  # zero, with the marginals' gradient

    mass, tolerance = a.detach().sum(1), TOLERANCE[cost.dtype]
    row_error, column_error = marginal_errors(plan, a.detach(), b.detach())
    scale = mass * cost.detach().abs().amax((1, 2))
    certified = torch.tensor([each.certified for each in solved], device=cost.device)
    codes = torch.tensor([each.code for each in solved], device=cost.device)
    status = status_of(torch.maximum(row_error, column_error), mass, tolerance, torch.isfinite(value))
    status[certified & ((value - bound) > tolerance * scale) | (codes != OPTIMAL)] = Status.STALLED
    status[codes == LIMIT] = Status.ITERATION_LIMIT
    return Solution(
        plan=plan,
        f=f,
        g=g,
        cost=envelope(value, plan, cost),
        primal=envelope(value, plan, cost) + weights,
        dual=envelope(bound, plan, cost) + weights,
        row_error=row_error,
        column_error=column_error,
        iterations=torch.where(codes == LIMIT, iterations, 0),
        status=status,
        tolerance=tolerance,
        regulariser="none",
    )
