"""The loss between sequences: closed forms, order, and exact indifference to padding."""

from __future__ import annotations

import math

import ot
import pytest
import torch
from torch import Tensor

from mlcore.transport.sequences import positions, sequence_cost

DOUBLE = torch.float64


def full(x: Tensor) -> Tensor:
    return torch.ones(x.shape[:2], dtype=torch.bool)


def loss(x: Tensor, y: Tensor, **options: float | bool) -> Tensor:
    return sequence_cost(x, y, full(x), full(y), **options).value  # type: ignore[arg-type]


@pytest.mark.parametrize(("gamma", "expected"), [(1.0, 1 / 36), (10.0, 100 / 36)])
def test_positions_alone_in_closed_form(gamma: float, expected: float) -> None:
    x, y = torch.zeros(1, 4, 3, dtype=DOUBLE), torch.zeros(1, 2, 3, dtype=DOUBLE)
    found = loss(x, y, gamma=gamma, blur=0.01 * gamma, debias=False)
    # without entropy 1/36 of gamma squared
    assert float(found) == pytest.approx(expected, rel=0.02)
    exact = sequence_cost(x, y, full(x), full(y), gamma=gamma, blur=0.01 * gamma).cross.cost
    assert float(exact) == pytest.approx(expected, rel=1e-6)


def test_a_sequence_is_at_no_distance_from_itself() -> None:
    x = torch.randn(3, 7, 4, dtype=DOUBLE)
    assert float(loss(x, x).abs().max()) < 1e-7


def test_order_counts_only_with_a_weight() -> None:
    x = 0.3 * torch.eye(6, dtype=DOUBLE).unsqueeze(0)
    turned = x.flip(1)
    assert float(loss(x, turned, gamma=0.0, blur=0.02)) == pytest.approx(0.0, abs=1e-6)
    ordered, backwards = (
        sequence_cost(x, other, full(x), full(x), gamma=1.0, blur=0.01).cross.cost for other in (x, turned)
    )
    assert float(ordered) == pytest.approx(0.0, abs=1e-6)
    assert float(backwards) == pytest.approx(0.0667, abs=2e-4)


def test_a_padded_batch_is_its_sequences_one_by_one() -> None:
    rng = torch.Generator().manual_seed(0)
    sizes = [(9, 4), (1, 1), (5, 7), (2, 1)]
    x = torch.randn(4, 12, 5, generator=rng, dtype=DOUBLE).requires_grad_()
    y = torch.randn(4, 8, 5, generator=rng, dtype=DOUBLE).requires_grad_()
    masks = [
        torch.arange(length) < torch.tensor([size[side] for size in sizes])[:, None]
        for side, length in enumerate((12, 8))
    ]
    together = sequence_cost(x, y, *masks, gamma=2.0, blur=0.3, tolerance=1e-12).value
    grown = torch.nn.functional.pad(x, (0, 0, 0, 6), value=1e4)
    wider = torch.nn.functional.pad(masks[0], (0, 6))
    assert torch.allclose(
        sequence_cost(grown, y, wider, masks[1], gamma=2.0, blur=0.3, tolerance=1e-12).value, together
    )
    by_x, by_y = torch.autograd.grad(together.sum(), (x, y))
    for row, (m, n) in enumerate(sizes):
        u = x[row : row + 1, :m].detach().requires_grad_()
        v = y[row : row + 1, :n].detach().requires_grad_()
        alone = loss(u, v, gamma=2.0, blur=0.3, tolerance=1e-12)
        assert float(alone.detach()) == pytest.approx(float(together[row].detach()), abs=1e-9)
        own_x, own_y = torch.autograd.grad(alone.sum(), (u, v))
        assert torch.allclose(by_x[row, :m], own_x[0], atol=1e-8)
        assert torch.allclose(by_y[row, :n], own_y[0], atol=1e-8)
        assert float(by_x[row, m:].abs().sum() + by_y[row, n:].abs().sum()) == 0


def test_the_cost_without_bias_correction_is_that_of_pot() -> None:
    x, y = torch.randn(1, 9, 3, dtype=DOUBLE), torch.randn(1, 5, 3, dtype=DOUBLE)
    times = [torch.linspace(0, 1, size, dtype=DOUBLE).view(1, -1, 1) for size in (9, 5)]
    cost = 0.5 * torch.cdist(torch.cat([x, times[0]], 2), torch.cat([y, times[1]], 2)).square()
    theirs = ot.sinkhorn2([], [], cost[0].numpy(), 0.25, method="sinkhorn_log", stopThr=1e-12)
    ours = sequence_cost(x, y, full(x), full(y), gamma=1.0, blur=0.5, debias=False).cross
    assert float(ours.cost) == pytest.approx(float(theirs), abs=1e-8)


def test_times_run_from_nought_to_one() -> None:
    mask = torch.tensor([[True, True, True, False], [True, False, False, False]])
    assert positions(mask).tolist() == [[0.0, 0.5, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]]


def test_low_precision_and_extreme_lengths_stay_finite() -> None:
    x = torch.randn(2, 300, 8, requires_grad=True)
    y = torch.randn(2, 1, 8)
    mask = torch.arange(300) < torch.tensor([[300], [1]])
    found = sequence_cost(x, y, mask, full(y), gamma=10.0).value
    found.sum().backward()
    assert bool(torch.isfinite(found).all())
    assert x.grad is not None
    assert bool(torch.isfinite(x.grad).all())


def test_bad_masks_are_refused() -> None:
    x = torch.zeros(1, 3, 2)
    with pytest.raises(ValueError, match="must fit"):
        sequence_cost(x, x, full(x)[:, :2], full(x))
    with pytest.raises(ValueError, match="empty"):
        sequence_cost(x, x, torch.zeros(1, 3, dtype=torch.bool), full(x))
    assert math.isfinite(float(loss(x, x)))
