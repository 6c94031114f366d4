"""The Sinkhorn divergence: sign, zero, parity, derivatives, and the loss between sequences."""

from __future__ import annotations

import pytest
import torch
from geomloss import SamplesLoss

from mlcore.transport.costs import Euclidean, SquaredEuclidean
from mlcore.transport.divergence import sinkhorn_divergence
from tests.mlcore.transport.problems import clouds


def test_zero_for_equal_measures_and_positive_otherwise() -> None:
    x, y = clouds(3, 15, 15)
    shuffled = x[:, torch.randperm(15)]
    same = sinkhorn_divergence(x, shuffled, epsilon=0.1).value
    assert float(same.abs().max()) < 1e-7
    assert float(sinkhorn_divergence(x, y, epsilon=0.1).value.min()) > 0.01


def test_symmetric_in_its_arguments() -> None:
    x, y = clouds(2, 12, 9, d=3)
    one, other = (sinkhorn_divergence(*pair, epsilon=0.3).value for pair in ((x, y), (y, x)))
    assert torch.allclose(one, other, atol=1e-7)


@pytest.mark.parametrize("blur", [0.5, 0.1])
def test_the_value_is_that_of_geomloss(blur: float) -> None:
    x, y = clouds(1, 40, 30, seed=4)
    theirs = SamplesLoss("sinkhorn", p=2, blur=blur, scaling=0.99, backend="tensorized")(x[0], y[0])
    ours = sinkhorn_divergence(x[0], y[0], epsilon=blur**2, cost=SquaredEuclidean(half=True)).value
    assert float(ours) == pytest.approx(float(theirs), rel=2e-3)


@pytest.mark.parametrize("cost", [SquaredEuclidean(), SquaredEuclidean(half=True), Euclidean()])
def test_gradients_are_those_of_finite_differences(cost: object) -> None:
    x, y = clouds(2, 6, 5, seed=9)
    x.requires_grad_()
    y.requires_grad_()

    def value(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return sinkhorn_divergence(x, y, epsilon=0.5, cost=cost, tolerance=1e-13).value  # type: ignore[arg-type]

    assert torch.autograd.gradcheck(value, (x, y), eps=1e-5, atol=1e-5)


def test_between_gaussians_in_closed_form() -> None:
    # equal covariances: the divergence is the squared distance of the means, whatever epsilon
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(1, 400, 2, generator=rng, dtype=torch.float64)
    shift = torch.tensor([1.5, -0.5], dtype=torch.float64)
    for epsilon in (0.1, 1.0, 10.0):
        found = sinkhorn_divergence(x, x + shift, epsilon=epsilon).value
        assert float(found) == pytest.approx(float(shift.square().sum()), rel=1e-5)


def test_without_the_constant_of_the_target() -> None:
    x, y = clouds(1, 10, 8)
    whole = sinkhorn_divergence(x, y, epsilon=0.2).value
    part = sinkhorn_divergence(x, y, epsilon=0.2, static_y=True).value
    own = sinkhorn_divergence(y, y, epsilon=0.2, debias=False).value
    assert float(part - 0.5 * own) == pytest.approx(float(whole), abs=1e-8)
    assert float(sinkhorn_divergence(x, y, epsilon=0.2, debias=False).value) > float(whole)


def test_weights_of_zero_are_padding() -> None:
    x, y = clouds(1, 9, 7)
    weights = torch.rand(1, 9, dtype=torch.float64)
    weights[0, 6:] = 0
    weights /= weights.sum()
    far = x.clone()
    far[0, 6:] = 1e4
    ours = sinkhorn_divergence(far, y, weights, epsilon=0.2).value
    alone = sinkhorn_divergence(x[:, :6], y, weights[:, :6], epsilon=0.2).value
    assert torch.allclose(ours, alone, atol=1e-7)
