"""From the potentials of k-sparse transport to a plan that keeps both marginals and at most k entries a column.

Where entries tie at the cut, the optimum of the relaxation keeps more than k of them. Which to keep is combinatorial;
here each column keeps its k largest, and quadratic transport restricted to those is solved. Where that is infeasible
(a group of rows is left with too little), a feasible k-sparse plan is built column by column, the heaviest first, as
in Walker's alias method: a column takes the rows it likes best among those that still let it be filled, and uses rows
up where too many would be left for the columns to come. Its entries replace the smallest of the k largest. Then the
support is renewed a few times: places that carry nothing are given to the entries with the best scores, and the
restricted problem, which stays feasible, can only improve.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mlcore.transport.sparse_columns import Columns, plain_columns
from mlcore.transport.sparse_lists import Candidates
from mlcore.transport.sparse_newton import Climb, State

_ROUNDS = 25  # evaluations of a restricted problem
_SHORT = 0.01  # share of its mass that a row lacks
_REPAIRS = 5  # renewals of an infeasible support
_DUST = 1e-13  # share of the mass below which a remainder is rounding
_FORCED = 1e6  # an entry of the feasible plan counts more than any of the relaxed plan


class Rounded(NamedTuple):
    """k-sparse plans, columns first."""

    plan: Tensor  # (batch, m, n), at most k entries in each of the m columns; the columns are met
    alpha: Tensor  # (batch, n): the rows' potentials of quadratic transport on the support
    feasible: Tensor  # (batch,) bool: the rows are met too
    steps: Tensor  # (batch,): Newton steps


def round_to_sparse(
    cost: Tensor,
    a: Tensor,
    b: Tensor,
    gamma: float,
    k: int,
    alpha: Tensor,
    relaxed: Tensor,
    tolerance: float,
    renewals: int = 2,
) -> Rounded:
    """Round ``relaxed`` (batch, m, n), a plan that may keep more than k entries a column.

    ``cost`` (batch, m, n) is infinite where masked; ``alpha`` (batch, n) are potentials near the optimum. The L1 error
    of the rows of a feasible plan is at most ``tolerance`` of the mass; that of its columns is rounding.
    """
    k = min(k, cost.shape[2])
    liking = preference(relaxed, alpha.unsqueeze(1) - cost)
    found = restricted(cost, a, b, gamma, alpha, liking.topk(k, dim=2).indices, tolerance)
    for _ in range(_REPAIRS):
        if bool(found.feasible.all()):
            break
        _renew(found, cost, a, b, gamma, k, tolerance, ~found.feasible)
    left = (~found.feasible).nonzero().squeeze(1)
    if len(left):
        built, filled = alias_plan(liking[left], a[left], b[left], k)
        support = torch.where(built > 0, _FORCED, liking[left]).topk(k, dim=2).indices
        again = restricted(cost[left], a[left], b[left], gamma, alpha[left], support, tolerance)
        error = (built.sum(1) - a[left]).abs().sum(1) + (built.sum(2) - b[left]).abs().sum(1)
        filled &= (error <= tolerance * a[left].sum(1)) & ~again.feasible
        again = again._replace(
            plan=torch.where(filled.view(-1, 1, 1), built, again.plan), feasible=again.feasible | filled
        )
        better = again.feasible | (_row_error(again.plan, a[left]) < _row_error(found.plan[left], a[left]))
        _replace(found, left[better], again, better)
    for _ in range(renewals):
        _renew(found, cost, a, b, gamma, k, tolerance, found.feasible)
    return found


def preference(plan: Tensor, scores: Tensor) -> Tensor:
    """Entries with mass by their mass, then the others by their scores, below zero: (batch, m, n)."""
    finite = torch.isfinite(scores)
    high = scores.amax(2, keepdim=True)
    low = torch.where(finite, scores, torch.inf).amin(2, keepdim=True)
    rank = (scores - high) / (high - low).clamp(min=torch.finfo(scores.dtype).tiny) - 1
    return torch.where(plan > 0, plan, torch.where(finite, rank, -torch.inf))


def restricted(
    cost: Tensor, a: Tensor, b: Tensor, gamma: float, alpha: Tensor, support: Tensor, tolerance: float
) -> Rounded:
    """Quadratic transport on ``support`` (batch, m, k) alone, by Newton's method; infeasible where it diverges."""
    plan = torch.zeros_like(cost)
    best = alpha.clone()
    steps = torch.zeros_like(a[:, 0], dtype=torch.long)
    least = torch.full_like(a[:, 0], torch.inf)
    mass = a.sum(1)
    target = mass * max(tolerance / 4, 64 * torch.finfo(a.dtype).eps)

    def columns(scores: Tensor, weights: Tensor, _: Tensor, size: int) -> Columns:
        return plain_columns(scores, weights, gamma, None, size)

    def keep(climb: Climb, state: State, which: Tensor) -> None:
        error = state.gradient.abs().sum(1)
        local = (which & (error < least[climb.problem])).nonzero().squeeze(1)
        number = climb.problem[local]
        entries = torch.zeros_like(climb.lists.bonus[local])
        entries.scatter_add_(2, state.columns.place[local], state.columns.plan[local])
        plan[number] = torch.zeros_like(plan[number]).scatter_(2, climb.lists.index[local], entries)
        best[number], least[number] = state.alpha[local], error[local]
        steps[number] = climb.steps[local]

    def arrived(climb: Climb, state: State, there: Tensor) -> Tensor:
        keep(climb, state, there)
        return there

    climb = Climb(Candidates.fixed(cost, a > 0, support), alpha, a, b, torch.ones_like(mass), columns, gamma)
    last = climb.run(lambda climb: target[climb.problem], arrived, _ROUNDS)
    if last is not None:
        keep(climb, last, torch.ones_like(climb.stalled))
    return Rounded(plan, best, least <= tolerance * mass, steps)


def alias_plan(liking: Tensor, a: Tensor, b: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """A plan (batch, m, n) with at most k entries a column, and whether (batch,) it meets both marginals.

    ``liking`` (batch, m, n) ranks the rows of every column; ``-inf`` where no mass may go. When M columns are left, at
    most about ``(k - 1) M`` rows may be, since a column that is full has used up all of its rows but one.
    """
    batch, m, n = liking.shape
    plan = torch.zeros_like(liking)
    remaining = a.clone()
    dust = _DUST * a.sum(1)
    every = torch.arange(batch, device=a.device)
    order = b.argsort(dim=1, descending=True)
    bearable = min(k - 1.0, 1 + 0.6 * (k - 2)) if k > 1 else 1.0
    columns_left = (b > 0).sum(1)
    short = torch.zeros_like(dust)
    for turn in range(m):
        column = order[:, turn]
        need = b[every, column].clone()
        wanted = liking[every, column]
        columns_left = columns_left - 1
        for place in range(k):
            if not bool((need > dust).any()):
                break
            more = k - 1 - place
            live = remaining > dust.unsqueeze(1)
            largest = remaining.topk(min(more + 1, n), dim=1).values
            among = remaining >= largest[:, -1:]
            others = torch.where(among, largest.sum(1, keepdim=True) - remaining, largest[:, :more].sum(1, keepdim=True))
            fits = live & (torch.minimum(remaining, need.unsqueeze(1)) + others >= (need - dust).unsqueeze(1))
            used_up = remaining <= (need + dust).unsqueeze(1)
            crowded = live.sum(1) - more > bearable * columns_left + 1
            allowed = fits & (used_up | ~crowded.unsqueeze(1))
            allowed = torch.where(allowed.any(1, keepdim=True), allowed, fits)
            rank = torch.where(allowed, wanted, -torch.inf)
            rank = torch.where(allowed.any(1, keepdim=True), rank, remaining)  # hopeless: take the largest
            row = rank.argmax(1)
            taken = torch.minimum(remaining[every, row], need)
            taken = torch.where(need > dust, taken, 0)
            plan[every, column, row] += taken
            remaining[every, row] -= taken
            need = need - taken
        short = short + need.clamp(min=0)
    return plan, short <= dust * m


def _renew(
    found: Rounded, cost: Tensor, a: Tensor, b: Tensor, gamma: float, k: int, tolerance: float, which: Tensor
) -> None:
    """Give the places of some problems (batch,) that carry nothing to the best scores, in place.

    Rows that an infeasible support leaves short come first.
    """
    number = (which & ((found.plan > 0).sum(2) < k).any(1)).nonzero().squeeze(1)
    if len(number) == 0:
        return
    plan, alpha = found.plan[number], found.alpha[number]
    part_cost, part_a, part_b = cost[number], a[number], b[number]
    liking = preference(plan, alpha.unsqueeze(1) - part_cost)
    # rows that are left short come first (2 and less keeps them below the entries in use, which are positive)
    lacking = part_a - plan.sum(1) > _SHORT * part_a
    lacking &= ~found.feasible[number].unsqueeze(1)
    liking = torch.where(plan > 0, 1 + plan, liking + 1.5 * lacking.unsqueeze(1))
    support = liking.topk(k, dim=2).indices
    again = restricted(part_cost, part_a, part_b, gamma, alpha, support, tolerance)
    cheaper = _primal(again.plan, part_cost, gamma) < _primal(plan, part_cost, gamma)
    # what was infeasible takes the new potentials in any case
    better = torch.where(found.feasible[number], again.feasible & cheaper, True)
    _replace(found, number[better], again, better)


def _replace(found: Rounded, number: Tensor, by: Rounded, which: Tensor) -> None:
    for old, new in zip(found[:3], by[:3], strict=True):
        old[number] = new[which]
    found.steps[number] += by.steps[which]


def _primal(plan: Tensor, cost: Tensor, gamma: float) -> Tensor:
    return (plan * torch.where(plan > 0, cost, 0)).sum((1, 2)) + gamma / 2 * plan.square().sum((1, 2))


def _row_error(plan: Tensor, a: Tensor) -> Tensor:
    return (plan.sum(1) - a).abs().sum(1)
