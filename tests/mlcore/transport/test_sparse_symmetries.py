"""What k-sparse plans must follow: exchanges, terms of one side, scales; and what brute force says is the best."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mlcore.transport.sparse import SparseSolution, quadratic_transport, sparse_transport

ROWS, COLUMNS = 9, 7


def problem(seed: int, n: int = ROWS, m: int = COLUMNS) -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    cost = torch.rand(n, m, generator=draw, dtype=torch.float64)
    a, b = (torch.rand(size, generator=draw, dtype=torch.float64) + 0.1 for size in (n, m))
    return cost, a / a.sum(), b / b.sum()


def solve(cost: Tensor, a: Tensor, b: Tensor, k: int, gamma: float = 1.0) -> SparseSolution:
    return sparse_transport(cost, a, b, gamma, k, gap=1e-10, max_iterations=80)


# with more than k entries in some column of the quadratic plan, and yet no tie at the cut
CUT = [(3, 4, 5.0), (5, 4, 5.0), (7, 5, 5.0), (0, 5, 5.0), (6, 3, 1.0)]


@pytest.mark.parametrize(("seed", "k", "gamma"), [*CUT, (0, ROWS, 1.0), (1, ROWS, 5.0)])
def test_plans_follow_their_problem(seed: int, k: int, gamma: float) -> None:
    """Where the bound is attained the plan is optimal; then it must follow, not only its value."""
    cost, a, b = problem(seed)
    base = solve(cost, a, b, k, gamma)
    assert bool(base.feasible)
    assert (int(quadratic_transport(cost, a, b, gamma).nonzeros.max()) > k) == (k < ROWS)
    assert float(base.primal - base.dual) < 1e-6
    draw = torch.Generator().manual_seed(seed + 100)

    def same(found: SparseSolution, expected: Tensor, value: Tensor) -> None:
        assert bool(found.feasible)
        torch.testing.assert_close(found.plan, expected, rtol=0, atol=2e-5)
        torch.testing.assert_close(found.dual, value, rtol=1e-7, atol=1e-9)

    rows, columns = torch.randperm(ROWS, generator=draw), torch.randperm(COLUMNS, generator=draw)
    same(solve(cost[rows][:, columns], a[rows], b[columns], k, gamma), base.plan[rows][:, columns], base.dual)
    u, v = (torch.randn(size, generator=draw, dtype=torch.float64) for size in (ROWS, COLUMNS))
    same(solve(cost + u.unsqueeze(1) + v, a, b, k, gamma), base.plan, base.dual + u @ a + v @ b)
    same(solve(3 * cost, a, b, k, 3 * gamma), base.plan, 3 * base.dual)
    # twice the mass with half the weight: the same plan, doubled, at twice the value
    same(solve(cost, 2 * a, 2 * b, k, gamma / 2), 2 * base.plan, 2 * base.dual)


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 10**5), k=st.integers(1, 6), log_gamma=st.floats(-1, 1))
def test_values_follow_their_problem_also_where_columns_tie(seed: int, k: int, log_gamma: float) -> None:
    cost, a, b = problem(seed, 6, 5)
    gamma = 10**log_gamma
    draw = torch.Generator().manual_seed(seed + 1)
    base = solve(cost, a, b, k, gamma)

    def same(found: SparseSolution, value: Tensor) -> None:
        torch.testing.assert_close(found.dual, value, rtol=1e-6, atol=1e-9)

    rows, columns = torch.randperm(6, generator=draw), torch.randperm(5, generator=draw)
    same(solve(cost[rows][:, columns], a[rows], b[columns], k, gamma), base.dual)
    u, v = (torch.rand(size, generator=draw, dtype=torch.float64) for size in (6, 5))
    same(solve(cost + u.unsqueeze(1) + v, a, b, k, gamma), base.dual + u @ a + v @ b)
    same(solve(3 * cost, a, b, k, 3 * gamma), 3 * base.dual)
    assert not bool(base.feasible) or float(base.dual) <= float(base.primal) + 1e-8


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), k=st.integers(1, 2), log_gamma=st.floats(-1, 1))
def test_brute_force_over_supports(seed: int, k: int, log_gamma: float) -> None:
    """Three by three: quadratic transport on every support of k rows a column is the whole primal problem."""
    cost, a, b = problem(seed, 3, 3)
    gamma, dear = 10**log_gamma, 100.0  # dearer than any plan that avoids it
    supports = list(itertools.product(itertools.combinations(range(3), k), repeat=3))
    open_ = torch.zeros(len(supports), 3, 3, dtype=torch.bool)
    for number, support in enumerate(supports):
        for column, rows in enumerate(support):
            open_[number, list(rows), column] = True
    plans = quadratic_transport(torch.where(open_, cost, dear), a, b, gamma)
    inside = plans.converged & ((plans.plan * ~open_).sum((1, 2)) < 1e-9)
    found = solve(cost, a, b, k, gamma)
    if not bool(inside.any()):  # random masses: one entry a column cannot serve them
        assert not bool(found.feasible)
        return
    best = float(plans.primal[inside].min())
    assert float(found.dual) <= best + 1e-8
    assert bool(found.feasible)  # a plan is found where there is one
    assert float(found.primal) >= best - 1e-8


@pytest.mark.parametrize("gamma", [0.1, 1.0])
def test_one_entry_a_row_of_equal_masses_is_the_best_permutation(gamma: float) -> None:
    for seed in range(3):
        cost, _, _ = problem(seed, 5, 5)
        even = torch.full((5,), 0.2, dtype=torch.float64)
        found = sparse_transport(cost, even, even, gamma, 1, side="rows", gap=1e-10, max_iterations=80)
        costs = {p: sum(float(cost[i, p[i]]) for i in range(5)) / 5 for p in itertools.permutations(range(5))}
        best = min(costs, key=costs.__getitem__)
        assert found.plan.argmax(1).tolist() == list(best)
        assert float(found.cost) == pytest.approx(costs[best], abs=1e-9)
        assert float(found.primal - found.dual) == pytest.approx(0, abs=1e-7)
