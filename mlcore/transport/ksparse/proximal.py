"""The relaxed k-sparse problem by the proximal point method: semismooth Newton on smoothed semi-duals.

The k-sparse semi-dual is not differentiable where entries tie at the cut, and at the optimum hundreds do: first-order
methods crawl there, and the plan they read off misses its rows. Adding ``mu / 2 |T - T0|^2`` to the convex hull of the
primal makes the semi-dual smooth, and its maximiser's plan meets both marginals; taking that plan as the next ``T0``
leads to the optimum of the hull whatever ``mu`` (Rockafellar 1976, as in the semismooth Newton augmented Lagrangian
method of Li, Sun and Toh 2018). ``mu`` falls from step to step.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mlcore.transport.ksparse.columns import Columns, plain_columns, smoothed_columns
from mlcore.transport.ksparse.lists import Candidates
from mlcore.transport.ksparse.newton import Climb, State, direction, evaluate

#: mu / gamma of the proximal steps; the last repeats
SCHEDULE = (0.3, 0.1, 0.03, 0.03, 0.01, 0.01, 0.003, 0.003)
#: most Newton steps in a proximal step: on the schedule, and after its end
_FIRST_STEPS, _LAST_STEPS = 15, 30
_LOOSEST, _TIGHTER, _TIGHTEST = 1e-2, 0.5, 1e-7  # inner row error: of the first step, per step, of the last


class Relaxed(NamedTuple):
    """The optimum of the convex hull, and how close to it."""

    alpha: Tensor  # (batch, n): best potential found
    dual: Tensor  # (batch,): its k-sparse semi-dual value
    plan: Tensor  # (batch, m, n): of the last step; meets both marginals but may be over-full at ties
    gap: Tensor  # (batch,): from ``dual`` to the value of the last smoothed problem
    steps: Tensor  # (batch,): Newton steps
    outer: Tensor  # (batch,): proximal steps


def relaxed(
    cost: Tensor,
    a: Tensor,
    b: Tensor,
    gamma: float,
    k: int,
    *,
    tolerance: float,
    iterations: int,
    length: int = 40,
) -> Relaxed:
    """Solve until the gap is below ``tolerance`` of the value; at most ``iterations`` proximal steps.

    ``cost`` (batch, m, n) with columns first, infinite where masked.
    """
    alpha = torch.zeros_like(a)
    lists = Candidates(cost, alpha, a > 0, max(length, k + 1))
    zero = torch.zeros_like(a[:, 0])
    best, dual, gap = alpha.clone(), zero - torch.inf, zero + torch.inf
    plan = torch.zeros_like(cost)
    steps, outer = torch.zeros_like(zero, dtype=torch.long), torch.zeros_like(zero, dtype=torch.long)
    used = torch.zeros_like(steps)  # Newton steps up to the present proximal step
    shares = torch.tensor(SCHEDULE, dtype=a.dtype, device=a.device)
    mass = a.sum(1)
    tightest = max(_TIGHTEST, 100 * torch.finfo(a.dtype).eps)

    def smoothed(scores: Tensor, mass: Tensor, mu: Tensor, size: int) -> Columns:
        return smoothed_columns(scores, mass, gamma, mu, k, max(size, k + 6))

    def plain(scores: Tensor, mass: Tensor, _: Tensor, size: int) -> Columns:
        return plain_columns(scores, mass, gamma, k, size)

    def goal(climb: Climb) -> Tensor:
        number = outer[climb.problem]
        most = torch.where(number < len(SCHEDULE), _FIRST_STEPS, _LAST_STEPS)
        tired = climb.steps - used[climb.problem] >= most
        return mass[climb.problem] * torch.where(
            tired, torch.inf, (_LOOSEST * _TIGHTER**number).clamp(min=tightest)
        )

    def arrived(climb: Climb, state: State, there: Tensor) -> Tensor:
        local = there.nonzero().squeeze(1)
        which = climb.problem[local]
        lists = climb.lists.select(local)
        constant = lists.bonus.square().sum((1, 2)) / (2 * climb.mu[local])
        listed = torch.zeros_like(lists.bonus).scatter_add_(
            2, state.columns.place[local], state.columns.plan[local]
        )
        lists.bonus = torch.zeros_like(lists.bonus)
        lower, _ = evaluate(lists, climb.alpha[local], a[which], b[which], climb.mu[local], plain)
        better = lower.value > dual[which]
        best[which[better]], dual[which[better]] = climb.alpha[local[better]], lower.value[better]
        # what is left to climb, twice over as the quadratic model has it
        reach = direction(state, there, climb.a, gamma, climb.damping)
        left = (state.gradient * reach).sum(1)[local]
        gap[which] = (climb.value[local] + left + constant - dual[which]).clamp(min=0)
        outer[which] += 1
        steps[which] = used[which] = climb.steps[local]
        finished = (gap[which] <= tolerance * dual[which].abs()) | (outer[which] >= iterations)
        onward = ~finished
        mu = gamma * shares[outer[which].clamp(max=len(SCHEDULE) - 1)]
        climb.mu[local[onward]] = mu[onward]
        climb.lists.bonus[local[onward]] = listed[onward] * mu[onward].view(-1, 1, 1)
        for number in finished.nonzero().squeeze(1).tolist():
            plan[which[number]].scatter_add_(1, climb.lists.index[local[number]], listed[number])
        done = torch.zeros_like(there)
        done[local[finished]] = True
        return done

    climb = Climb(lists, alpha, a, b, gamma * shares[:1].expand(len(a)).clone(), smoothed, gamma)
    last = climb.run(goal, arrived, iterations * _LAST_STEPS * 2)
    if last is not None:
        outer[climb.problem] = iterations
        arrived(climb, last, torch.ones_like(climb.stalled))
    return Relaxed(best, dual, plan, gap, steps, outer)
