"""Entropic transport against closed forms, POT, limits, invariances and derivatives."""

from __future__ import annotations

import math

import ot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcore.transport.sinkhorn import sinkhorn
from mlcore.transport.solution import Status
from tests.mlcore.transport.problems import clouds, ragged


@pytest.mark.parametrize("epsilon", [1.0, 0.1, 0.02])
def test_plans_are_those_of_pot(epsilon: float) -> None:
    cost, a, b, sizes = ragged(6, 20, 9)
    found = sinkhorn(cost, a, b, epsilon, relative="mean")
    assert bool(found.converged.all())
    for row, (n, m) in enumerate(sizes):
        theirs = ot.sinkhorn(
            a[row, :n].numpy(),
            b[row, :m].numpy(),
            cost[row, :n, :m].numpy(),
            float(found.epsilon[row]),
            method="sinkhorn_log",
            stopThr=1e-12,
            numItermax=200_000,
        )
        assert float((found.plan[row, :n, :m] - torch.from_numpy(theirs)).abs().sum()) < 1e-7
        assert float(found.plan[row].sum()) == pytest.approx(1.0)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
@pytest.mark.parametrize("shape", [(40, 30), (100, 100), (12, 70)])
def test_marginals_are_met_and_no_duality_gap_is_left(
    dtype: torch.dtype, tolerance: float, shape: tuple[int, int]
) -> None:
    x, y = clouds(3, *shape)
    found = sinkhorn(torch.cdist(x, y).square().to(dtype), epsilon=0.02, relative="mean", tolerance=tolerance)
    assert bool(found.converged.all())
    assert float(torch.maximum(found.row_error, found.column_error).max()) <= tolerance
    assert torch.allclose(found.primal, found.dual, rtol=20 * tolerance + 1e-6, atol=0)
    assert torch.equal(found.epsilon, found.epsilon.detach())


def test_potentials_and_values_say_the_same_as_the_plan() -> None:
    cost, a, b, _ = ragged(4, 12, 7, seed=3)
    found = sinkhorn(cost, a, b, 0.2, tolerance=1e-12)
    made = (
        a[:, :, None]
        * b[:, None]
        * ((found.f[:, :, None] + found.g[:, None] - cost) / found.epsilon[:, None, None]).exp()
    )
    assert torch.allclose(found.plan, made, atol=1e-12)
    plan, product = found.plan, a[:, :, None] * b[:, None]
    logs = torch.where(product > 0, (plan / product.clamp(min=1e-300)), 1.0)
    divergence = torch.special.xlogy(plan, logs).sum((1, 2)) - plan.sum((1, 2)) + 1
    linear = (plan * cost).sum((1, 2))
    assert torch.allclose(found.cost, linear)
    assert torch.allclose(found.primal, linear + found.epsilon * divergence)
    assert torch.allclose(found.dual, (a * found.f).sum(1) + (b * found.g).sum(1))  # <a, f> + <b, g>
    assert torch.allclose(
        found.entropic, linear + found.epsilon * torch.special.xlogy(plan, plan).sum((1, 2))
    )


def test_small_epsilon_gives_the_unregularised_cost() -> None:
    x, y = clouds(1, 25, 25, seed=5)
    cost = torch.cdist(x, y).square()
    exact = ot.emd2([], [], cost[0].numpy())
    gaps = [
        float(sinkhorn(cost, epsilon=eps, relative="mean").cost) - exact for eps in (0.1, 0.01, 0.001, 1e-4)
    ]
    assert gaps == sorted(gaps, reverse=True)
    assert 0 <= gaps[-1] < 1e-3 * exact


def test_two_by_two_in_closed_form() -> None:
    # symmetric costs [[0, c], [c, 0]] and equal weights: the off-diagonal mass is logistic(-c / eps) / 2 on either side
    c, eps = 1.3, 0.4
    found = sinkhorn(torch.tensor([[0, c], [c, 0]], dtype=torch.float64), epsilon=eps)
    assert float(found.plan[0, 1]) == pytest.approx(0.5 / (1 + math.exp(c / eps)), abs=1e-10)
    assert found.plan.shape == (2, 2)
    assert found.status.shape == ()


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.floats(-2.5, 0.5))
def test_any_two_by_two_in_closed_form(seed: int, log_epsilon: float) -> None:
    """Equal weights leave one number t = P_00 = P_11, and t / (1/2 - t) = exp((C_01 + C_10 - C_00 - C_11) / 2 eps)."""
    epsilon = 10**log_epsilon
    cost = torch.rand(2, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    found = sinkhorn(cost, epsilon=epsilon)
    assert bool(found.converged)
    kept = 0.5 * torch.sigmoid(-(cost.trace() - cost.fliplr().trace()) / (2 * epsilon))
    expected = torch.stack([torch.stack([kept, 0.5 - kept]), torch.stack([0.5 - kept, kept])])
    assert torch.allclose(found.plan, expected, rtol=0, atol=2e-9)


def test_padding_and_the_batch_change_nothing() -> None:
    cost, a, b, sizes = ragged(5, 14, 10, seed=7)
    together = sinkhorn(cost, a, b, 0.05)
    junk = cost.clone()
    junk[(a == 0)[:, :, None] | (b == 0)[:, None]] = 1e9
    wider = torch.nn.functional.pad(junk, (0, 6, 0, 9), value=math.nan)
    padded = sinkhorn(wider, torch.nn.functional.pad(a, (0, 9)), torch.nn.functional.pad(b, (0, 6)), 0.05)
    assert torch.allclose(padded.plan[:, :14, :10], together.plan, atol=1e-8)
    assert float(padded.plan[:, 14:].abs().sum() + padded.plan[:, :, 10:].abs().sum()) == 0
    for row, (n, m) in enumerate(sizes):
        alone = sinkhorn(cost[row, :n, :m], a[row, :n], b[row, :m], 0.05)
        assert torch.allclose(together.plan[row, :n, :m], alone.plan, atol=1e-8)
        assert float(together.dual[row]) == pytest.approx(float(alone.dual), abs=1e-8)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.floats(0.01, 2.0), st.integers(0, 10_000))
def test_invariances(n: int, m: int, epsilon: float, seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    cost = torch.rand(1, n, m, generator=rng, dtype=torch.float64)
    found = sinkhorn(cost, epsilon=epsilon)
    assert bool(found.converged.all())
    # a sum of a function of the row and one of the column moves the value and leaves the plan
    rows, columns = torch.rand(n, 1, dtype=torch.float64), torch.rand(1, m, dtype=torch.float64)
    moved = sinkhorn(cost + rows + columns, epsilon=epsilon)
    assert torch.allclose(moved.plan, found.plan, atol=1e-7)
    assert float(moved.dual) == pytest.approx(float(found.dual + rows.mean() + columns.mean()), abs=1e-7)
    # scaling cost and epsilon together scales the value
    scaled = sinkhorn(3 * cost, epsilon=3 * epsilon)
    assert torch.allclose(scaled.plan, found.plan, atol=1e-7)
    # rows and columns change places
    turned = sinkhorn(cost.mT, epsilon=epsilon)
    assert torch.allclose(turned.plan.mT, found.plan, atol=1e-7)


def test_gradients_are_the_plan_and_the_potentials() -> None:
    x, y = clouds(2, 7, 5, seed=11)
    cost = torch.cdist(x, y).square().requires_grad_()
    a = torch.softmax(torch.randn(2, 7, dtype=torch.float64), 1).requires_grad_()

    def value(cost: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
        return sinkhorn(cost, a, epsilon=0.3, tolerance=1e-13).dual

    assert torch.autograd.gradcheck(lambda c: value(c, a.detach()), (cost,), eps=1e-5, atol=1e-6)
    found = sinkhorn(cost, a, epsilon=0.3, tolerance=1e-13)
    by_cost, by_a = torch.autograd.grad(found.dual.sum(), (cost, a))
    assert torch.allclose(by_cost, found.plan)
    step = torch.zeros_like(a)
    step[0, 1], step[0, 4] = 1e-5, -1e-5  # along the simplex
    with torch.no_grad():
        slope = (value(cost, a + step)[0] - value(cost, a - step)[0]) / 2e-5
    assert float(by_a[0, 1] - by_a[0, 4]) == pytest.approx(float(slope), abs=1e-6)


def test_easy_problems_leave_the_batch_before_hard_ones() -> None:
    x, y = clouds(3, 100, 90, seed=1)
    cost, epsilon = torch.cdist(x, y).square(), torch.tensor([1.0, 0.01, 0.3], dtype=torch.float64)
    found = sinkhorn(cost, epsilon=epsilon)
    assert bool(found.converged.all())
    assert torch.equal(found.epsilon, epsilon)
    easy, hard, middle = found.iterations.tolist()
    assert 5 * easy < hard
    assert 5 * middle < hard
    assert hard == int(sinkhorn(cost[1], epsilon=0.01).iterations)


@pytest.mark.parametrize("shape", [(150, 150), (120, 80), (80, 120)])
def test_a_start_near_the_solution_saves_iterations(shape: tuple[int, int]) -> None:
    x, y = clouds(1, *shape, seed=2)
    cost = torch.cdist(x, y).square()
    cold = sinkhorn(cost, epsilon=0.05)
    warm = sinkhorn(cost * 1.001, epsilon=0.05, start=(cold.f, cold.g))
    assert bool(warm.converged.all())
    assert int(warm.iterations) < 0.75 * int(cold.iterations)
    again = sinkhorn(cost, epsilon=0.05, start=(cold.f, cold.g))
    assert int(again.iterations) <= 8  # one look at the errors
    assert torch.allclose(again.plan, cold.plan, atol=1e-9)


def test_what_did_not_converge_says_so_and_what_helps() -> None:
    x, y = clouds(1, 80, 80)
    found = sinkhorn(torch.cdist(x, y).square(), epsilon=1e-4, tolerance=1e-12, max_iterations=8)
    assert int(found.status) == Status.ITERATION_LIMIT
    assert not bool(found.converged.any())
    assert "allow more" in found.explain()[0]
    assert float(found.column_error) > 1e-12


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"a": torch.tensor([0.5, 0.7])}, "different masses, 1.2"),
        ({"a": torch.tensor([1.5, -0.5])}, "negative"),
        ({"a": torch.tensor([0.5, 0.5], dtype=torch.float64)}, "float64"),
        ({"a": torch.ones(3) / 3}, r"must be \(1, 2\)"),
        ({"cost": torch.tensor([[0.0, math.nan], [1.0, 0.0]])}, "not finite"),
        ({"epsilon": 0.0}, "must be positive"),
        ({"epsilon": math.nan}, "must be positive"),
        ({"relative": "median"}, "'mean', 'max' or 'std'"),
        ({"cost": torch.zeros(2, 2), "relative": "mean"}, "above zero"),
        ({"a": torch.zeros(2)}, "no mass"),
    ],
)
def test_bad_problems_are_refused(change: dict, words: str) -> None:
    good = {"cost": torch.tensor([[0.0, 1.0], [1.0, 0.0]]), "epsilon": 0.1}
    with pytest.raises(ValueError, match=words):
        sinkhorn(**(good | change))


def test_masses_off_by_rounding_are_repaired() -> None:
    cost = torch.rand(300, 300)
    found = sinkhorn(cost, torch.full((300,), 1 / 300), torch.full((300,), 1 / 300) * (1 + 2e-6), 0.1)
    assert bool(found.converged)
