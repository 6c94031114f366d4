"""Unbalanced transport: limits, parity with POT, optimality, derivatives."""

from __future__ import annotations

import math

import ot
import pytest
import torch

from mlcore.transport.sinkhorn import sinkhorn
from mlcore.transport.unbalanced import unbalanced_sinkhorn
from tests.mlcore.transport.problems import clouds, ragged


def test_dear_marginals_are_met() -> None:
    cost, a, b, _ = ragged(4, 10, 8)
    wanted = sinkhorn(cost, a, b, 0.1)
    exact = unbalanced_sinkhorn(cost, a, b, 0.1, rho_a=math.inf, rho_b=math.inf)
    assert torch.allclose(exact.plan, wanted.plan, atol=1e-7)
    near = unbalanced_sinkhorn(cost, a, b, 0.1, rho_a=1e4, rho_b=1e4)
    assert torch.allclose(near.plan, wanted.plan, atol=1e-3)


@pytest.mark.parametrize("prices", [(1.0, 1.0), (0.3, 5.0)])
def test_plans_are_those_of_pot(prices: tuple[float, float]) -> None:
    x, y = clouds(1, 12, 9)
    cost = torch.cdist(x, y).square()[0]
    a, b = torch.full((12,), 0.1, dtype=torch.float64), torch.full((9,), 0.2, dtype=torch.float64)
    theirs = ot.unbalanced.sinkhorn_unbalanced(
        a.numpy(),
        b.numpy(),
        cost.numpy(),
        0.2,
        list(prices),
        reg_type="kl",
        stopThr=1e-13,
        numItermax=100_000,
    )
    ours = unbalanced_sinkhorn(cost, a, b, 0.2, rho_a=prices[0], rho_b=prices[1], tolerance=1e-12)
    assert float((ours.plan - torch.from_numpy(theirs)).abs().sum()) < 1e-7
    assert float(ours.mass) == pytest.approx(theirs.sum(), abs=1e-7)
    assert float(ours.primal) == pytest.approx(float(ours.dual), abs=1e-8)


def test_one_point_in_closed_form() -> None:
    # minimise p c + eps (p log p - p + 1) + (ra + rb)(p log p - p + 1): p = exp(-c / (eps + ra + rb))
    one = torch.ones(1, dtype=torch.float64)
    found = unbalanced_sinkhorn(
        torch.full((1, 1), 2.0, dtype=torch.float64), one, one, 0.5, rho_a=1.0, rho_b=0.25, tolerance=1e-13
    )
    mass = math.exp(-2.0 / 1.75)
    assert float(found.plan) == pytest.approx(mass, abs=1e-10)
    penalty = mass * math.log(mass) - mass + 1
    assert float(found.row_penalty) == pytest.approx(penalty, abs=1e-10)
    assert float(found.column_penalty) == pytest.approx(0.25 * penalty, abs=1e-10)


def test_one_side_may_be_demanded() -> None:
    x, y = clouds(1, 8, 6)
    cost = torch.cdist(x, y).square()
    found = unbalanced_sinkhorn(cost, epsilon=0.1, rho_a=math.inf, rho_b=0.5)
    assert torch.allclose(found.plan.sum(2), torch.full((1, 8), 1 / 8, dtype=torch.float64), atol=1e-8)
    assert float((found.plan.sum(1) - 1 / 6).abs().max()) > 1e-3


def test_the_gradient_is_the_plan() -> None:
    x, y = clouds(1, 5, 4)
    cost = torch.cdist(x, y).square().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda c: unbalanced_sinkhorn(c, epsilon=0.3, rho_a=1.0, rho_b=2.0, tolerance=1e-13).dual,
        (cost,),
        eps=1e-5,
        atol=1e-6,
    )


def test_prices_must_be_positive_and_masses_equal_where_demanded() -> None:
    cost = torch.rand(2, 2)
    with pytest.raises(ValueError, match="must be positive"):
        unbalanced_sinkhorn(cost, epsilon=0.1, rho_a=0.0, rho_b=1.0)
    with pytest.raises(ValueError, match="different masses"):
        unbalanced_sinkhorn(cost, torch.ones(2), torch.ones(2) / 2, 0.1, rho_a=math.inf, rho_b=math.inf)
