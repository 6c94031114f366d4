"""From the potentials of k-sparse transport to a plan that keeps both marginals and at most k entries a column.

Where entries tie at the cut, the optimum of the relaxation keeps more than k of them. Which to keep is combinatorial;
here each column keeps its k largest, and quadratic transport restricted to those is solved. Where that is infeasible
(a group of rows is left with too little), a flow of at most k entries a column is built that leaves the support as
little as it can (:mod:`mlcore.transport.ksparse.flow`); its entries replace the smallest of the k largest. Then the
support is renewed a few times: places that carry nothing are given to the entries with the best scores, and the
restricted problem, which stays feasible, can only improve.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mlcore.transport.ksparse.columns import Columns, plain_columns
from mlcore.transport.ksparse.flow import sparse_flows
from mlcore.transport.ksparse.lists import Candidates
from mlcore.transport.ksparse.newton import Climb, State

_ROUNDS = 60  # evaluations of a restricted problem


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
    scores = alpha.unsqueeze(1) - cost
    liking = preference(relaxed, scores)
    support = liking.topk(k, dim=2).indices
    found = restricted(cost, a, b, gamma, alpha, support, tolerance)
    left = (~found.feasible).nonzero().squeeze(1)
    if len(left):
        flow, kept = sparse_flows(scores[left], support[left], a[left], b[left])
        left, flow = left[kept], flow[kept]
    if len(left):
        support = torch.where(flow > 0, 2.0, liking[left]).topk(k, dim=2).indices
        again = restricted(cost[left], a[left], b[left], gamma, alpha[left], support, tolerance)
        met = (flow.sum(1) - a[left]).abs().sum(1) <= tolerance * a[left].sum(1)
        met &= (flow.sum(2) - b[left]).abs().sum(1) <= tolerance * a[left].sum(1)
        met &= ~again.feasible
        plan = torch.where(met.view(-1, 1, 1), flow, again.plan)
        again = again._replace(plan=plan, feasible=again.feasible | met)
        better = again.feasible | (_row_error(again.plan, a[left]) < _row_error(found.plan[left], a[left]))
        _replace(found, left[better], again, better)
    for _ in range(renewals):
        _renew(found, cost, a, b, gamma, k, tolerance)
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
    """Quadratic transport on ``support`` (batch, m, k) alone, by Newton's method.

    Where no plan exists the dual is unbounded: a value above what any plan could cost ends the search.
    """
    plan = torch.zeros_like(cost)
    best = alpha.clone()
    steps = torch.zeros_like(a[:, 0], dtype=torch.long)
    least = torch.full_like(a[:, 0], torch.inf)
    mass = a.sum(1)
    target = mass * max(tolerance / 4, 64 * torch.finfo(a.dtype).eps)
    listed = cost.gather(2, support)
    dearest = torch.where(torch.isfinite(listed), listed, -torch.inf).amax(2)
    most = (b * torch.where(b > 0, dearest, 0)).sum(1) + gamma / 2 * b.square().sum(1)
    most += 1e-6 * most.abs()

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

    def goal(climb: Climb) -> Tensor:
        return torch.where(climb.value > most[climb.problem], torch.inf, target[climb.problem])

    last = climb.run(goal, arrived, _ROUNDS)
    if last is not None:
        keep(climb, last, torch.ones_like(climb.stalled))
    return Rounded(plan, best, least <= tolerance * mass, steps)


def _renew(
    found: Rounded, cost: Tensor, a: Tensor, b: Tensor, gamma: float, k: int, tolerance: float
) -> None:
    """Give the places that carry nothing to the best scores, in place."""
    number = (found.feasible & ((found.plan > 0).sum(2) < k).any(1)).nonzero().squeeze(1)
    if len(number) == 0:
        return
    plan, alpha = found.plan[number], found.alpha[number]
    support = preference(plan, alpha.unsqueeze(1) - cost[number]).topk(k, dim=2).indices
    again = restricted(cost[number], a[number], b[number], gamma, alpha, support, tolerance)
    better = again.feasible & (_primal(again.plan, cost[number], gamma) < _primal(plan, cost[number], gamma))
    _replace(found, number[better], again, better)


def _replace(found: Rounded, number: Tensor, by: Rounded, which: Tensor) -> None:
    for old, new in zip(found[:3], by[:3], strict=True):
        old[number] = new[which]
    found.steps[number] += by.steps[which]


def _primal(plan: Tensor, cost: Tensor, gamma: float) -> Tensor:
    return (plan * torch.where(plan > 0, cost, 0)).sum((1, 2)) + gamma / 2 * plan.square().sum((1, 2))


def _row_error(plan: Tensor, a: Tensor) -> Tensor:
    return (plan.sum(1) - a).abs().sum(1)
