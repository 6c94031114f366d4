"""First-order methods on the dual and the semi-dual, for batches of problems: L-BFGS and Adam.

Both climb concave functions that are not smooth where entries tie at the cut; L-BFGS then stops a little short of the
optimum (Lewis and Overton 2013), and a few steps of Adam are what routers inside networks use.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from mlcore.transport.ksparse.columns import Columns, plain_columns
from mlcore.transport.ksparse.lists import Candidates
from mlcore.transport.ksparse.newton import evaluate
from mlcore.transport.ksparse.projection import orthant_conjugate

Objective = Callable[
    [Tensor], tuple[Tensor, Tensor]
]  # (batch, size) -> value (batch,), gradient (batch, size)

_MEMORY = 10
_TRIALS = 25
_ARMIJO, _WOLFE = 1e-4, 0.9


class Ascended(NamedTuple):
    """Where a first-order method ended."""

    point: Tensor  # (batch, size)
    value: Tensor  # (batch,)
    steps: Tensor  # (batch,)


def semi_dual(cost: Tensor, a: Tensor, b: Tensor, gamma: float, k: int | None, length: int = 48) -> Objective:
    """The semi-dual of ``alpha`` (batch, n); ``cost`` (batch, m, n) has columns first and is infinite where masked."""
    lists = Candidates(cost, torch.zeros_like(a), a > 0, max(length, k or 0))
    unused = torch.zeros_like(a[:, 0])

    def columns(scores: Tensor, mass: Tensor, _: Tensor, size: int) -> Columns:
        return plain_columns(scores, mass, gamma, k, size)

    def value(alpha: Tensor) -> tuple[Tensor, Tensor]:
        nonlocal lists
        state, lists = evaluate(lists, alpha, a, b, unused, columns)
        return state.value, torch.where(a > 0, state.gradient, 0)

    return value


def dual(cost: Tensor, a: Tensor, b: Tensor, gamma: float, k: int | None) -> Objective:
    """The dual of ``alpha`` and ``beta``, one after the other in (batch, n + m)."""
    n = a.shape[1]

    def value(point: Tensor) -> tuple[Tensor, Tensor]:
        alpha, beta = point[:, :n], point[:, n:]
        found = orthant_conjugate(alpha.unsqueeze(1) + beta.unsqueeze(2) - cost, gamma, k)
        sums = torch.zeros_like(alpha).scatter_add_(1, found.place.flatten(1), found.weights.flatten(1))
        gradient = torch.cat([a - sums, b - found.weights.sum(2)], 1)
        return (alpha * a).sum(1) + (beta * b).sum(1) - found.value.sum(1), gradient

    return value


def lbfgs(objective: Objective, start: Tensor, scale: float, iterations: int, change: float) -> Ascended:
    """Maximise by L-BFGS with a line search for the weak Wolfe conditions, each problem with its own step.

    ``scale`` is the length of the first step; a problem stops where its value rises by less than ``change`` of itself
    in each of five steps, or cannot rise.
    """
    point = start.clone()
    value, gradient = objective(point)
    history: list[tuple[Tensor, Tensor, Tensor]] = []
    steps = torch.zeros_like(value, dtype=torch.long)
    slow = torch.zeros_like(steps)
    going = torch.ones_like(value, dtype=torch.bool)
    for _ in range(iterations):
        direction = _two_loops(gradient, history, scale)
        direction = torch.where(going.unsqueeze(1), direction, 0)
        slope = (gradient * direction).sum(1)
        length, next_value, next_gradient = _line_search(objective, point, value, slope, direction, going)
        moved = length.unsqueeze(1) * direction
        bend = gradient - next_gradient
        product = (moved * bend).sum(1)
        history.append((moved, bend, torch.where(product > 0, 1 / product, 0).nan_to_num(posinf=0.0)))
        del history[:-_MEMORY]
        gain = next_value - value
        slow = torch.where(gain <= change * next_value.abs(), slow + 1, 0)
        steps += going
        point, value, gradient = point + moved, next_value, next_gradient
        going &= (slow < 5) & (length > 0)
        if not bool(going.any()):
            break
    return Ascended(point, value, steps)


def adam(objective: Objective, start: Tensor, rate: float, iterations: int) -> Ascended:
    """A fixed number of steps of Adam (0.9, 0.999); the best point that was seen."""
    point, first, second = start.clone(), torch.zeros_like(start), torch.zeros_like(start)
    best, best_value = point, torch.full_like(start[:, 0], -torch.inf)
    for number in range(1, iterations + 2):
        value, gradient = objective(point)
        better = value > best_value
        best = torch.where(better.unsqueeze(1), point, best)
        best_value = torch.where(better, value, best_value)
        if number > iterations:
            break
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient.square()
        spread = (second / (1 - 0.999**number)).sqrt() + torch.finfo(start.dtype).tiny ** 0.5
        point = point + rate * first / (1 - 0.9**number) / spread
    return Ascended(best, best_value, torch.full_like(best_value, iterations, dtype=torch.long))


def _two_loops(gradient: Tensor, history: list[tuple[Tensor, Tensor, Tensor]], scale: float) -> Tensor:
    """The L-BFGS direction of ascent (Nocedal and Wright, algorithm 7.4)."""
    if not history:
        return gradient * (
            scale / gradient.norm(dim=1, keepdim=True).clamp(min=torch.finfo(gradient.dtype).tiny)
        )
    left, shares = gradient.clone(), []
    for moved, bend, inverse in reversed(history):
        share = (moved * left).sum(1) * inverse
        left -= share.unsqueeze(1) * bend
        shares.append(share)
    moved, bend, inverse = history[-1]
    size = (moved * bend).sum(1) / bend.square().sum(1).clamp(min=torch.finfo(gradient.dtype).tiny)
    left = left * torch.where(inverse > 0, size, 1).unsqueeze(1)
    for (moved, bend, inverse), share in zip(history, reversed(shares), strict=True):
        left += moved * (share - (bend * left).sum(1) * inverse).unsqueeze(1)
    return torch.where(((gradient * left).sum(1, keepdim=True) > 0), left, gradient * scale)


def _line_search(
    objective: Objective, point: Tensor, value: Tensor, slope: Tensor, direction: Tensor, going: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Step lengths (batch,) by bisection, with the values and gradients there; zero where none raises the value."""
    length = going.to(value.dtype)
    low, high = torch.zeros_like(length), torch.full_like(length, torch.inf)
    for trial in range(_TRIALS + 1):
        found, gradient = objective(point + length.unsqueeze(1) * direction)
        high_enough = found >= value + _ARMIJO * length * slope
        flat_enough = (gradient * direction).sum(1) <= _WOLFE * slope
        good = (high_enough & flat_enough) | ~going | (length == 0)
        if trial == _TRIALS or bool(good.all()):
            break
        high = torch.where(high_enough, high, length)
        low = torch.where(high_enough & ~flat_enough, length, low)
        following = torch.where(torch.isinf(high), 2 * length, (low + high) / 2)
        if trial == _TRIALS - 1:
            following = low  # the last that was high enough, or no step
        length = torch.where(good, length, following)
    return length, found, gradient
