"""Rounding to k entries a column, and the pieces under it."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcore.transport.ksparse.columns import smoothed_columns
from mlcore.transport.ksparse.flow import sparse_flows
from mlcore.transport.ksparse.lists import Candidates
from mlcore.transport.ksparse.rounding import preference, restricted, round_to_sparse


def problem(seed: int, batch: int, n: int, m: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Costs (batch, m, n) with columns first."""
    draw = torch.Generator().manual_seed(seed)
    cost = torch.rand(batch, m, n, generator=draw, dtype=torch.float64)
    a, b = (torch.empty(batch, size, dtype=torch.float64).exponential_(generator=draw) for size in (n, m))
    return cost, a / a.sum(1, keepdim=True), b / b.sum(1, keepdim=True)


@pytest.mark.parametrize("k", [4, 8])
def test_uneven_marginals_are_met_with_k_entries(k: int) -> None:
    cost, a, b = problem(0, 6, 60, 60)
    relaxed = a.unsqueeze(1) * b.unsqueeze(2)  # every column far over-full
    found = round_to_sparse(cost, a, b, 20.0, k, torch.zeros_like(a), relaxed, 1e-8)
    assert bool(found.feasible.all())
    assert int((found.plan > 0).sum(2).max()) <= k
    assert bool((found.plan >= 0).all())
    torch.testing.assert_close(found.plan.sum(1), a, rtol=0, atol=1e-8)
    torch.testing.assert_close(found.plan.sum(2), b, rtol=0, atol=1e-8)


def test_renewing_the_support_only_improves() -> None:
    cost, a, b = problem(1, 4, 40, 40)
    relaxed = a.unsqueeze(1) * b.unsqueeze(2)

    def primal(renewals: int) -> torch.Tensor:
        plan = round_to_sparse(cost, a, b, 20.0, 8, torch.zeros_like(a), relaxed, 1e-9, renewals).plan
        return (plan * cost).sum((1, 2)) + 10.0 * plan.square().sum((1, 2))

    assert bool((primal(3) <= primal(0) + 1e-12).all())
    assert bool((primal(3) < primal(0)).any())


def test_a_plan_that_is_sparse_already_is_kept() -> None:
    even = torch.full((1, 8), 1 / 8, dtype=torch.float64)
    cost = 1 - torch.eye(8, dtype=torch.float64).unsqueeze(0)
    relaxed = torch.eye(8, dtype=torch.float64).unsqueeze(0) / 8
    found = round_to_sparse(cost, even, even, 1.0, 1, torch.zeros_like(even), relaxed, 1e-9)
    assert bool(found.feasible.all())
    torch.testing.assert_close(found.plan, relaxed)


def test_a_support_that_cannot_serve_a_row_is_infeasible() -> None:
    cost, a, b = problem(2, 1, 5, 4)
    support = torch.tensor([[[0, 1], [1, 2], [2, 3], [3, 0]]])  # nobody takes row 4
    found = restricted(cost, a, b, 1.0, torch.zeros_like(a), support, 1e-9)
    assert not bool(found.feasible)
    torch.testing.assert_close(found.plan.sum(2), b)
    assert float(found.plan[..., 4].sum()) == 0
    assert int(found.steps) < 20  # the value of the dual proves it; nothing is gained by climbing on


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(2, 25), m=st.integers(2, 25), k=st.integers(1, 6))
def test_flows_that_are_kept_meet_both_marginals_with_k_entries(seed: int, n: int, m: int, k: int) -> None:
    cost, a, b = problem(seed, 2, n, m)
    support = (-cost).topk(min(k, n), dim=2).indices
    flow, kept = sparse_flows(-cost, support, a, b)
    assert bool((flow >= 0).all())
    good = kept.nonzero().squeeze(1)
    assert bool(((flow[good] > 0).sum(2) <= k).all())
    torch.testing.assert_close(flow[good].sum(1), a[good], rtol=0, atol=1e-10)
    torch.testing.assert_close(flow[good].sum(2), b[good], rtol=0, atol=1e-10)


def test_preference_puts_mass_first_then_scores_then_what_is_closed() -> None:
    plan = torch.tensor([[[0.2, 0.0, 0.0, 0.1]]], dtype=torch.float64)
    scores = torch.tensor([[[-5.0, 3.0, -torch.inf, -9.0]]], dtype=torch.float64)
    assert preference(plan, scores).argsort(descending=True).tolist() == [[[0, 3, 1, 2]]]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    k=st.integers(1, 6),
    log_share=st.floats(-3, 0.5),
    log_mass=st.floats(-6, 1),
    rounded=st.booleans(),
)
def test_smoothed_columns_solve_their_problem(
    seed: int, k: int, log_share: float, log_mass: float, rounded: bool
) -> None:
    """Primal and dual of one column's problem agree: the solution is optimal, whatever way it was found."""
    draw = torch.Generator().manual_seed(seed)
    size, gamma, mass = 14, 2.0, 10**log_mass
    mu = gamma * 10**log_share
    scores = torch.randn(30, size, generator=draw, dtype=torch.float64)
    scores = (scores * 4).round() / 4 if rounded else scores  # exact ties
    b = torch.full((30,), mass, dtype=torch.float64)
    found = smoothed_columns(scores, b, gamma, torch.full_like(b, mu), k, size)
    plan = found.plan
    assert bool((plan >= 0).all())
    torch.testing.assert_close(plan.sum(1), b, rtol=1e-8, atol=1e-12)
    # gamma / 2 times the squared k-support norm, from its closed form (Argyriou et al. 2012, proposition 2.1)
    ordered = plan.sort(1, descending=True).values
    best = torch.full_like(b, torch.inf)
    for r in range(k):
        head, tail = ordered[:, : k - r - 1], ordered[:, k - r - 1 :].sum(1)
        above = ordered[:, k - r - 2] if r < k - 1 else torch.full_like(b, torch.inf)
        fits = (above > tail / (r + 1) - 1e-12) & (tail / (r + 1) >= ordered[:, k - r - 1] - 1e-12)
        best = torch.where(fits, torch.minimum(best, head.square().sum(1) + tail.square() / (r + 1)), best)
    at = scores.gather(1, found.place)
    primal = (plan * at).sum(1) - gamma / 2 * best - mu / 2 * plan.square().sum(1)
    torch.testing.assert_close(found.value, primal, rtol=1e-7, atol=1e-9 * (1 + mass))


def test_candidate_lists_certify_what_they_leave_out() -> None:
    cost, a, _b = problem(3, 2, 200, 30)
    draw = torch.Generator().manual_seed(4)
    alpha = torch.zeros_like(a)
    lists = Candidates(cost, alpha, a > 0, 20)
    for _ in range(5):
        alpha = alpha + 0.05 * torch.randn(alpha.shape, generator=draw, dtype=torch.float64)
        scores = alpha.unsqueeze(1) - cost
        off = scores.clone().scatter_(2, lists.index, -torch.inf).amax(2)
        assert bool((off <= lists.bound(alpha) + 1e-12).all())
        torch.testing.assert_close(lists.scores(alpha), scores.gather(2, lists.index))
    columns = torch.zeros(2, 30, dtype=torch.bool)
    columns[0, 3] = True
    lists.refresh(alpha, columns)
    best = (alpha.unsqueeze(1) - cost)[0, 3].topk(20).indices
    assert set(lists.index[0, 3].tolist()) == set(best.tolist())
    off = (alpha.unsqueeze(1) - cost).scatter_(2, lists.index, -torch.inf).amax(2)
    assert bool((off <= lists.bound(alpha) + 1e-12).all())
    part = lists.select(torch.tensor([1]))
    torch.testing.assert_close(part.scores(alpha[1:]), lists.scores(alpha)[1:])
    assert lists.grown(alpha).length == 40


@pytest.mark.parametrize("share", [0.2, 1.0])
def test_checked_columns_are_lost_exactly_where_an_entry_off_the_list_scores_more(share: float) -> None:
    cost, a, _b = problem(5, 3, 120, 40)
    draw = torch.Generator().manual_seed(6)
    lists = Candidates(cost, torch.zeros_like(a), a > 0, 15)
    alpha = 0.1 * torch.randn(a.shape, generator=draw, dtype=torch.float64)
    off = (alpha.unsqueeze(1) - cost).scatter_(2, lists.index, -torch.inf).amax(2)
    level = off + 0.1 * torch.randn(off.shape, generator=draw, dtype=torch.float64)
    columns = torch.rand(off.shape, generator=draw) <= share
    lost = lists.check(alpha, columns, level)
    assert torch.equal(lost, columns & (off > level))
    assert bool((off <= lists.bound(alpha) + 1e-12).all())
    if share == 1:
        torch.testing.assert_close(lists.bound(alpha), off)  # nothing has drifted since
