"""The dual and the semi-dual as functions, and what first-order methods see of them on their way."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mlcore.transport.ksparse.gradient import Ascended, Objective, adam, dual, lbfgs, semi_dual
from mlcore.transport.ksparse.projection import simplex_conjugate
from mlcore.transport.sparse import quadratic_transport, sparse_transport

GAMMA = 0.8


def problem(seed: int, batch: int = 2, n: int = 8, m: int = 6) -> tuple[Tensor, Tensor, Tensor]:
    """Costs (batch, m, n) with columns first, and both marginals."""
    draw = torch.Generator().manual_seed(seed)
    cost = torch.rand(batch, m, n, generator=draw, dtype=torch.float64)
    a, b = (torch.rand(batch, size, generator=draw, dtype=torch.float64) + 0.1 for size in (n, m))
    return cost, a / a.sum(1, keepdim=True), b / b.sum(1, keepdim=True)


def somewhere(seed: int, size: int, batch: int = 2) -> Tensor:
    draw = torch.Generator().manual_seed(seed + 1)
    return torch.randn(batch, size, generator=draw, dtype=torch.float64)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), k=st.one_of(st.none(), st.integers(1, 8)))
def test_the_semi_dual_is_the_dual_with_the_best_potentials_of_the_columns(seed: int, k: int | None) -> None:
    cost, a, b = problem(seed)
    alpha = somewhere(seed, 8)
    value, slope = semi_dual(cost, a, b, GAMMA, k)(alpha)
    best = -simplex_conjugate(alpha.unsqueeze(1) - cost, b, GAMMA, k).threshold
    at_best, both = dual(cost, a, b, GAMMA, k)(torch.cat([alpha, best], 1))
    torch.testing.assert_close(at_best, value, rtol=0, atol=1e-11)
    torch.testing.assert_close(both[:, :8], slope, rtol=0, atol=1e-11)
    torch.testing.assert_close(both[:, 8:], torch.zeros_like(b), rtol=0, atol=1e-11)  # columns are met
    for scale in (0.01, 1.0):
        moved = torch.cat([alpha, best + scale * somewhere(seed + 1, 6)], 1)
        assert bool((dual(cost, a, b, GAMMA, k)(moved)[0] <= value + 1e-11).all())


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), k=st.one_of(st.none(), st.integers(1, 8)), shift=st.floats(-20, 20))
def test_a_constant_on_the_potentials_changes_nothing(seed: int, k: int | None, shift: float) -> None:
    cost, a, b = problem(seed)
    alpha, beta = somewhere(seed, 8), somewhere(seed + 1, 6)
    for here, there, objective in (
        (alpha, alpha + shift, semi_dual(cost, a, b, GAMMA, k)),
        (
            torch.cat([alpha, beta], 1),
            torch.cat([alpha + shift, beta - shift], 1),
            dual(cost, a, b, GAMMA, k),
        ),
    ):
        for one, other in zip(objective(here), objective(there), strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-11)


@pytest.mark.parametrize("k", [1, 2, 4, None])
@pytest.mark.parametrize("form", ["semi-dual", "dual"])
def test_gradients_are_those_of_finite_differences(form: str, k: int | None) -> None:
    cost, a, b = problem(3)
    make, size = (semi_dual, 8) if form == "semi-dual" else (dual, 14)
    objective, point, step = make(cost, a, b, GAMMA, k), somewhere(3, size), 1e-6
    slope = objective(point)[1]
    for entry in range(size):
        change = torch.zeros(size, dtype=torch.float64)
        change[entry] = step
        found = (objective(point + change)[0] - objective(point - change)[0]) / (2 * step)
        torch.testing.assert_close(found, slope[:, entry], rtol=0, atol=1e-7)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), k=st.one_of(st.none(), st.integers(1, 8)), share=st.floats(0, 1))
def test_both_are_concave(seed: int, k: int | None, share: float) -> None:
    cost, a, b = problem(seed)
    for make, size in ((semi_dual, 8), (dual, 14)):
        objective = make(cost, a, b, GAMMA, k)
        one, other = somewhere(seed, size), somewhere(seed + 1, size)
        between = objective(share * one + (1 - share) * other)[0]
        assert bool((between >= share * objective(one)[0] + (1 - share) * objective(other)[0] - 1e-10).all())


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("form", ["semi-dual", "dual"])
@pytest.mark.parametrize("method", ["adam", "lbfgs"])
def test_every_iterate_is_below_every_sparse_plan(method: str, form: str, k: int) -> None:
    cost, a, b = problem(4, n=8, m=8 if k == 1 else 6)
    if k == 1:  # a permutation is feasible where masses are equal
        a = b = torch.full((2, 8), 1 / 8, dtype=torch.float64)
    feasible = sparse_transport(cost.mT, a, b, GAMMA, k)
    assert bool(feasible.feasible.all())
    seen: list[Tensor] = []
    objective = (semi_dual if form == "semi-dual" else dual)(cost, a, b, GAMMA, k)

    def watched(point: Tensor) -> tuple[Tensor, Tensor]:
        found = objective(point)
        seen.append(found[0])
        return found

    start = torch.zeros(2, 8 if form == "semi-dual" else 8 + b.shape[1], dtype=torch.float64)
    climbed = _climb(method, watched, start)
    assert len(seen) > 5
    assert bool((torch.stack(seen) <= feasible.primal + 1e-8).all())
    # what is handed back is what was seen there, and no worse than the start
    torch.testing.assert_close(objective(climbed.point)[0], climbed.value, rtol=0, atol=1e-12)
    assert bool((climbed.value >= seen[0]).all())


def _climb(method: str, objective: Objective, start: Tensor) -> Ascended:
    if method == "adam":
        return adam(objective, start, 1e-2, 60)
    return lbfgs(objective, start, 0.5, 200, 1e-15)


@pytest.mark.parametrize("k", [6, 8, None])
def test_where_nothing_ties_every_way_up_ends_at_one_value(k: int | None) -> None:
    cost, a, b = problem(5, batch=3)
    newton = quadratic_transport(cost.mT, a, b, GAMMA)
    assert int(newton.nonzeros.max()) <= 6  # so that the cut at k entries is never active
    for make, size in ((semi_dual, 8), (dual, 14)):
        start = torch.zeros(3, size, dtype=torch.float64)
        climbed = lbfgs(make(cost, a, b, GAMMA, k), start, 0.5, 2000, 1e-16)
        torch.testing.assert_close(climbed.value, newton.dual, rtol=1e-6, atol=0)
