"""The Monge gap against closed forms, the assignment problem and its own identities."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mlcore.transport.costs import (
    Cosine,
    Cost,
    Elastic,
    Euclidean,
    Geodesic,
    PNorm,
    SquaredEuclidean,
)
from mlcore.transport.maps.monge import exact_monge_gap, monge_gap
from mlcore.transport.solution import Status

COSTS = (SquaredEuclidean(), Euclidean(), PNorm(1), PNorm(3, power=True), Elastic(0.3))


def cloud(n: int, d: int, seed: int = 0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def images(x: Tensor) -> dict[str, Tensor]:
    n, d = x.shape
    matrix = cloud(d, d, 7)
    return {
        "identity": x,
        "permutation": x[torch.randperm(n, generator=torch.Generator().manual_seed(3))],
        "reflection": -x,
        "random": cloud(n, d, 5),
        "affine": x @ (matrix @ matrix.mT) + 1.0,
    }


@pytest.mark.parametrize("epsilon", [0.05, 0.5, 5.0])
def test_entropic_gap_lies_between_its_bounds(epsilon: float) -> None:
    x = cloud(40, 3)
    for mapped in images(x).values():
        found = monge_gap(x, mapped, epsilon=epsilon, tolerance=1e-5)
        exact = float(exact_monge_gap(x, mapped))
        assert found.transport.status == Status.CONVERGED
        assert exact + epsilon * math.log(40) - 1e-3 <= float(found.value)
        assert float(found.value) <= exact + 2 * epsilon * math.log(40) + 1e-3
        # without its entropy the plan is feasible, and so no better than the best assignment
        assert float(found.moved - found.transport.cost) <= exact + 1e-3


@pytest.mark.parametrize("cost", COSTS, ids=str)
def test_gap_without_its_entropy_tends_to_the_assignment(cost: Cost) -> None:
    x = cloud(12, 2)
    mapped = images(x)["random"]
    found = monge_gap(x, mapped, cost, 0.003, tolerance=1e-4)
    assert float(found.moved - found.transport.cost) == pytest.approx(
        float(exact_monge_gap(x, mapped, cost)), abs=0.01
    )


@pytest.mark.parametrize("cost", COSTS, ids=str)
def test_a_permutation_could_have_stayed(cost: Cost) -> None:
    x = cloud(30, 3)
    mapped = images(x)["permutation"]
    assert float(exact_monge_gap(x, mapped, cost)) == pytest.approx(float(cost.paired(x, mapped).mean()))


@pytest.mark.parametrize("cost", [SquaredEuclidean(), PNorm(1.5, power=True), Elastic(0.2)], ids=str)
def test_increasing_maps_of_the_line_are_optimal(cost: Cost) -> None:
    x = cloud(50, 1)
    assert float(exact_monge_gap(x, x + x.exp(), cost)) == pytest.approx(0, abs=1e-12)


def test_reflection_of_a_symmetric_sample() -> None:
    half = cloud(25, 1)
    x = torch.cat([half, -half])
    assert float(exact_monge_gap(x, -x)) == pytest.approx(float(4 * x.square().mean()))


def test_gap_grows_with_nested_blocks() -> None:
    """A coupling inside the blocks is a coupling, so that the whole sample has the larger gap."""
    x = cloud(128, 4)
    mapped = torch.tanh(x @ cloud(4, 4, 3)) @ cloud(4, 4, 4)
    gaps = [
        float(exact_monge_gap(x.view(-1, size, 4), mapped.view(-1, size, 4)).mean()) for size in (8, 32, 128)
    ]
    assert gaps[0] < gaps[1] < gaps[2]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.floats(0.1, 5), st.floats(0, 1))
def test_invariances_of_the_quadratic_gap(seed: int, scale: float, share: float) -> None:
    x, first, second = cloud(20, 3, seed), cloud(20, 3, seed + 1), cloud(20, 3, seed + 2)
    gap = exact_monge_gap(x, first)
    assert torch.isclose(exact_monge_gap(x, first + 3 * cloud(1, 3, seed + 3)), gap, atol=1e-9)
    assert torch.isclose(exact_monge_gap(x, scale * first), scale * gap, atol=1e-9)
    between = exact_monge_gap(x, share * first + (1 - share) * second)
    assert between <= share * gap + (1 - share) * exact_monge_gap(x, second) + 1e-9


def test_costs_that_differ_by_terms_of_one_side_have_one_gap() -> None:
    class Negative:
        def matrix(self, x: Tensor, y: Tensor) -> Tensor:
            return -x @ y.mT

        def paired(self, x: Tensor, y: Tensor) -> Tensor:
            return -(x * y).sum(-1)

    x, mapped = cloud(30, 3), cloud(30, 3, 1)
    half = SquaredEuclidean(half=True)
    assert torch.isclose(exact_monge_gap(x, mapped, half), exact_monge_gap(x, mapped, Negative()))
    entropic = (monge_gap(x, mapped, each, 0.3).value for each in (half, Negative()))
    assert torch.isclose(*entropic, atol=1e-7)


def test_quadratic_gradient_is_the_distance_from_the_barycentre() -> None:
    x = cloud(25, 3)
    mapped = cloud(25, 3, 1).requires_grad_()
    found = monge_gap(x, mapped, epsilon=0.4)
    (slope,) = torch.autograd.grad(found.value, mapped)
    expected = 2 * (found.transport.plan.mT @ x - x / 25)
    assert torch.allclose(slope, expected, atol=1e-8)


@pytest.mark.parametrize("cost", [*COSTS, Geodesic(), Geodesic(squared=True), Cosine()], ids=str)
def test_gradient_agrees_with_finite_differences(cost: Cost) -> None:
    x, direction = cloud(9, 3), cloud(9, 3, 4)
    mapped = cloud(9, 3, 1).requires_grad_()
    (slope,) = torch.autograd.grad(monge_gap(x, mapped, cost, 1.0, tolerance=1e-12).value, mapped)
    step = 1e-5
    with torch.no_grad():
        ends = [
            monge_gap(x, mapped + sign * step * direction, cost, 1.0, tolerance=1e-12).value
            for sign in (1, -1)
        ]
    assert float((slope * direction).sum()) == pytest.approx(float(ends[0] - ends[1]) / (2 * step), rel=1e-4)


def test_batches_and_padding_change_nothing() -> None:
    x, mapped = cloud(12, 2).view(2, 6, 2), cloud(12, 2, 1).view(2, 6, 2)
    a = torch.full((2, 6), 1 / 6, dtype=torch.float64)
    a[1] = torch.tensor([0.25, 0.25, 0.25, 0.25, 0, 0])
    found = monge_gap(x, mapped, epsilon=0.8, a=a).value
    assert torch.isclose(found[0], monge_gap(x[0], mapped[0], epsilon=0.8).value, atol=1e-7)
    assert torch.isclose(found[1], monge_gap(x[1, :4], mapped[1, :4], epsilon=0.8).value, atol=1e-7)
    exact = exact_monge_gap(x, mapped, a=a)
    assert torch.isclose(exact[1], exact_monge_gap(x[1, :4], mapped[1, :4]))


def test_a_relative_epsilon_is_a_share_without_gradient() -> None:
    x, mapped = cloud(10, 2), cloud(10, 2, 1).requires_grad_()
    found = monge_gap(x, mapped, epsilon=0.05, relative="mean")
    fixed = 0.05 * float(SquaredEuclidean().matrix(x, mapped.detach()).mean())
    same = monge_gap(x, mapped, epsilon=fixed)
    assert torch.isclose(found.value, same.value)
    slopes = [torch.autograd.grad(each.value, mapped)[0] for each in (found, same)]
    assert torch.allclose(*slopes)


def test_images_must_belong_to_the_points() -> None:
    with pytest.raises(ValueError, match="every point needs its image"):
        monge_gap(cloud(4, 2), cloud(5, 2))
    with pytest.raises(ValueError, match="every point needs its image"):
        exact_monge_gap(cloud(4, 2), cloud(4, 3))
