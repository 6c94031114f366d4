"""Monge gaps of maps whose gap is known: linear maps of Gaussians, turns of the sphere, gradients, permutations."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mlcore.transport.costs import Cosine, Cost, Elastic, Euclidean, Geodesic, PNorm, SquaredEuclidean
from mlcore.transport.maps.convex import ConvexPotential
from mlcore.transport.maps.gaussian import gaussian_map, power
from mlcore.transport.maps.monge import exact_monge_gap, monge_gap
from mlcore.transport.maps.scores import l2_uvp


def cloud(n: int, d: int, seed: int = 0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def of_gaussian(matrix: Tensor, moments: Tensor) -> float:
    """``2 [tr (S^1/2 A S A' S^1/2)^1/2 - tr A S]``: the gap of ``x -> A x`` on N(0, S) (Bures)."""
    root = power(moments, 0.5)
    return float(2 * (power(root @ matrix @ moments @ matrix.mT @ root, 0.5) - matrix @ moments).trace())


def turn(angle: float) -> Tensor:
    c, s = math.cos(angle), math.sin(angle)
    return torch.tensor([[c, -s], [s, c]], dtype=torch.float64)


LINEAR = {
    "rotation": (turn(0.7), torch.eye(2, dtype=torch.float64)),
    "any matrix": (
        torch.tensor([[0.3, 1.2], [-0.8, 0.9]], dtype=torch.float64),
        torch.tensor([[2.0, 0.6], [0.6, 0.5]], dtype=torch.float64),
    ),
    "reflection": (
        torch.diag(torch.tensor([1.0, -1.0], dtype=torch.float64)),
        torch.tensor([[1.0, 0.4], [0.4, 1.5]], dtype=torch.float64),
    ),
}


def test_bures_in_its_simple_cases() -> None:
    unit = torch.eye(2, dtype=torch.float64)
    assert of_gaussian(turn(0.7), unit) == pytest.approx(4 * (1 - math.cos(0.7)))
    matrix = LINEAR["any matrix"][0]
    nuclear = 2 * (torch.linalg.svdvals(matrix).sum() - matrix.trace())
    assert of_gaussian(matrix, unit) == pytest.approx(float(nuclear))
    assert of_gaussian(matrix @ matrix.mT, LINEAR["reflection"][1]) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("name", LINEAR)
def test_linear_maps_follow_bures(name: str) -> None:
    """For the moments of the sample the closed form is a bound (Gelbrich); it is nearly attained by many points."""
    matrix, covariance = LINEAR[name]
    x = cloud(1500, 2, 1) @ power(covariance, 0.5)
    gap, bound = float(exact_monge_gap(x, x @ matrix.mT)), of_gaussian(matrix, x.mT @ x / len(x))
    assert gap <= bound + 1e-9
    assert gap == pytest.approx(bound, rel=0.035)
    assert bound == pytest.approx(of_gaussian(matrix, covariance), rel=0.1)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(2, 30), d=st.integers(1, 5))
def test_linear_maps_of_any_sample_stay_below_bures(seed: int, n: int, d: int) -> None:
    x, matrix = cloud(n, d, seed), cloud(d, d, seed + 1)
    moments = x.mT @ x / n + 1e-12 * torch.eye(d, dtype=torch.float64)
    gap = float(exact_monge_gap(x, x @ matrix.mT))
    assert -1e-12 <= gap <= of_gaussian(matrix, moments) + 1e-4
    assert float(exact_monge_gap(x, x @ (matrix @ matrix.mT))) == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize("cost", [Geodesic(), Geodesic(squared=True), Cosine()], ids=str)
def test_turns_of_whole_orbits_could_have_stayed(cost: Cost) -> None:
    """Eight turns by 45 degrees bring every point back, so that the image is the sample: W = 0 but for the clamp."""
    starts = torch.nn.functional.normalize(cloud(12, 3, 4), dim=1)
    matrix = torch.eye(3, dtype=torch.float64)
    matrix[:2, :2] = turn(math.pi / 4)
    orbit = [starts]
    for _ in range(7):
        orbit.append(orbit[-1] @ matrix.mT)
    x = torch.cat(orbit)
    expected = float(cost.paired(x, x @ matrix.mT).mean())
    chord = 2 * math.sin(math.pi / 8) * starts[:, :2].norm(dim=1)  # |x - Rx|
    angle = 2 * torch.arcsin(chord / 2)
    by_hand = {Geodesic(): angle, Geodesic(squared=True): angle.square(), Cosine(): chord.square() / 2}[cost]
    assert expected == pytest.approx(float(by_hand.mean()), abs=1e-9)
    clamped = float(cost.matrix(x, x).diagonal().mean())  # of a point with itself
    assert float(exact_monge_gap(x, x @ matrix.mT, cost)) == pytest.approx(expected - clamped, abs=1e-9)


@pytest.mark.parametrize("squared", [False, True])
def test_turned_uniform_sphere_rises_to_its_limit(squared: bool) -> None:
    """``E d(x, Rx)^p`` of the uniform measure by quadrature over the height, which is uniform in [-1, 1]."""
    height = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    angle = 2 * torch.arcsin(math.sin(0.4) * (1 - height.square()).sqrt())
    limit = float((angle.square() if squared else angle).mean())
    assert squared or limit == pytest.approx(0.62, abs=0.005)
    matrix = torch.eye(3, dtype=torch.float64)
    matrix[:2, :2] = turn(0.8)

    def gap(n: int) -> float:
        x = torch.nn.functional.normalize(cloud(n, 3, 2), dim=1)
        return float(exact_monge_gap(x, x @ matrix.mT, Geodesic(squared)))

    gaps = [gap(n) for n in (100, 400, 1500)]
    assert gaps == sorted(gaps)
    assert 0.83 * limit < gaps[-1] < limit


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), d=st.integers(1, 32))
def test_gradients_of_convex_functions_have_no_gap_on_any_sample(seed: int, d: int) -> None:
    torch.manual_seed(seed)
    potential = ConvexPotential(d, (12, 12)).double()
    with torch.no_grad():
        for parameter in potential.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
        x = 2 * cloud(40, d, seed)
        mapped = potential.gradient(x)
    size = float(mapped.square().sum(1).mean() + x.square().sum(1).mean())
    assert float(exact_monge_gap(x, mapped)) == pytest.approx(0, abs=1e-12 * size)
    assert l2_uvp(mapped, mapped) == 0
    assert float(exact_monge_gap(x, -mapped)) > 1e-6 * size  # nothing is worse matched than by its negative


CONVEX_OF_DIFFERENCE: list[Cost] = [
    SquaredEuclidean(),
    PNorm(1),
    PNorm(1.5, power=True),
    PNorm(3, power=True),
    Elastic(0.3),
    Elastic(0.3, "stvs"),
]


@pytest.mark.parametrize("cost", CONVEX_OF_DIFFERENCE, ids=str)
def test_on_the_line_increasing_maps_have_no_gap_and_decreasing_ones_the_sorted_difference(
    cost: Cost,
) -> None:
    x = cloud(50, 1, 8)
    assert float(exact_monge_gap(x, 2 * x.tanh() + 1, cost)) == pytest.approx(0, abs=1e-12)
    falling = -3 * x.tanh()
    best = cost.paired(x.sort(0).values, falling.sort(0).values).mean()
    expected = float(cost.paired(x, falling).mean() - best)
    assert float(exact_monge_gap(x, falling, cost)) == pytest.approx(expected, abs=1e-12)
    assert expected > 0.1


@pytest.mark.parametrize("cost", [SquaredEuclidean(), Euclidean(), Cosine(), Geodesic()], ids=str)
@pytest.mark.parametrize("epsilon", [0.02, 0.2, 2.0])
def test_both_conventions_of_the_entropy_and_their_bounds(cost: Cost, epsilon: float) -> None:
    """``M_eps = M_KL + 2 eps log n``; M_KL lies within ``eps log n`` below the exact gap, and may be negative."""
    x, mapped = cloud(40, 3), cloud(40, 3, 5)
    found = monge_gap(x, mapped, cost, epsilon, tolerance=1e-9)
    exact, unit = float(exact_monge_gap(x, mapped, cost)), epsilon * math.log(40)
    entropy = -float(torch.special.xlogy(found.transport.plan, found.transport.plan).sum())
    without = float(found.moved - found.transport.cost)
    divergence = float(found.moved - found.transport.primal)
    assert float(found.value) == pytest.approx(without + epsilon * entropy, abs=1e-7)
    assert float(found.value) == pytest.approx(divergence + 2 * unit, abs=1e-7)
    assert exact - unit - 1e-7 <= divergence <= exact + 1e-7
    assert max(0, exact + unit) - 1e-7 <= float(found.value) <= exact + 2 * unit + 1e-7
    assert without <= exact + 1e-7


def test_the_gap_without_its_entropy_rises_to_the_exact_one() -> None:
    x, mapped = cloud(25, 2), cloud(25, 2, 5)
    exact = float(exact_monge_gap(x, mapped))
    gaps = []
    for epsilon in (1.0, 0.1, 0.01, 0.002):
        found = monge_gap(x, mapped, epsilon=epsilon, tolerance=1e-7)
        gaps.append(float(found.moved - found.transport.cost))
    assert gaps == sorted(gaps)
    assert gaps[-1] == pytest.approx(exact, rel=1e-3)
    assert gaps[0] < 0.9 * exact


def test_the_map_between_gaussians_is_that_of_bures() -> None:
    """``A = S^-1/2 (S^1/2 R S^1/2)^1/2 S^-1/2`` is the one symmetric positive matrix with ``A S A = R``."""
    x, y = cloud(400, 3) @ cloud(3, 3, 1) + 2, cloud(300, 3, 2) @ cloud(3, 3, 3)
    matrix = gaussian_map(x, y, share=1e-12).matrix
    S, R = (torch.cov(each.mT, correction=0) for each in (x, y))
    torch.testing.assert_close(matrix @ S @ matrix, R, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(matrix, matrix.mT, rtol=0, atol=1e-9)
    assert float(torch.linalg.eigvalsh(matrix)[0]) > 0
    # and the cost of carrying x by it is Bures' distance of the moments
    carried = gaussian_map(x, y, share=1e-12)(x)
    root = power(S, 0.5)
    bures = (x.mean(0) - y.mean(0)).square().sum() + (S + R - 2 * power(root @ R @ root, 0.5)).trace()
    assert float((x - carried).square().sum(1).mean()) == pytest.approx(float(bures), rel=1e-6)
