"""The loss between sequences: closed forms, order, and exact indifference to padding."""

from __future__ import annotations

import math

import ot
import pytest
import torch
from geomloss import SamplesLoss
from hypothesis import given, settings
from hypothesis import strategies as st
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


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    m=st.integers(1, 7),
    n=st.integers(1, 7),
    gamma=st.sampled_from([0.0, 1.0, 10.0]),
)
def test_it_is_symmetric_and_never_negative(seed: int, m: int, n: int, gamma: float) -> None:
    rng = torch.Generator().manual_seed(seed)
    x, y = (torch.randn(1, size, 3, generator=rng, dtype=DOUBLE) for size in (m, n))
    one, other = (float(loss(*pair, gamma=gamma, blur=0.5, tolerance=1e-10)) for pair in ((x, y), (y, x)))
    assert one == pytest.approx(other, abs=1e-8)
    assert one >= -1e-9
    if gamma == 0:  # without positions the order of either is nobody's business
        turned = x[:, torch.randperm(m, generator=rng)]
        assert float(loss(turned, y, gamma=0.0, blur=0.5, tolerance=1e-10)) == pytest.approx(one, abs=1e-8)


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
    again = sequence_cost(grown, y, wider, masks[1], gamma=2.0, blur=0.3, tolerance=1e-12).value
    assert torch.allclose(torch.autograd.grad(again.sum(), x)[0], by_x, atol=1e-10)
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


@pytest.mark.parametrize("blur", [0.5, 0.2])
def test_the_value_without_bias_correction_is_that_of_geomloss(blur: float) -> None:
    """Both are the dual value with ``eps KL(P | a b')``, half the squared distance and ``eps = blur^2``."""
    rng = torch.Generator().manual_seed(3)
    x, y = (torch.randn(1, size, 3, generator=rng, dtype=DOUBLE) for size in (9, 5))
    points = [torch.cat([each, 2 * positions(full(each)).unsqueeze(2)], 2)[0] for each in (x, y)]
    theirs = SamplesLoss("sinkhorn", p=2, blur=blur, scaling=0.995, debias=False, backend="tensorized")(
        *points
    )
    found = sequence_cost(x, y, full(x), full(y), gamma=2.0, blur=blur, debias=False)
    assert float(found.value) == pytest.approx(float(theirs), rel=2e-3)
    assert float(found.value) == pytest.approx(float(found.cross.dual), abs=1e-12)
    assert float(found.value) > float(found.cross.cost)  # the entropy is in the value


def unrolled(u: Tensor, v: Tensor, epsilon: float, steps: int = 1500) -> Tensor:
    """``<a, f> + <b, g>`` after plain log-domain iterations, every one of them on autograd's tape."""
    cost = 0.5 * (u.unsqueeze(1) - v.unsqueeze(0)).square().sum(-1)
    log_a, log_b = (-math.log(len(each)) for each in (u, v))
    g = torch.zeros(len(v), dtype=DOUBLE)
    for _ in range(steps):
        f = -epsilon * torch.logsumexp((g - cost) / epsilon + log_b, 1)
        g = -epsilon * torch.logsumexp((f.unsqueeze(1) - cost) / epsilon + log_a, 0)
    return f.mean() + g.mean()


def test_value_and_gradient_are_those_of_unrolled_iterations() -> None:
    rng = torch.Generator().manual_seed(5)
    x, y = (torch.randn(size, 2, generator=rng, dtype=DOUBLE).requires_grad_() for size in (6, 4))
    u, v = (
        torch.cat([each, 3 * torch.linspace(0, 1, len(each), dtype=DOUBLE).unsqueeze(1)], 1)
        for each in (x, y)
    )
    theirs = unrolled(u, v, 0.49) - 0.5 * unrolled(u, u, 0.49) - 0.5 * unrolled(v, v, 0.49)
    ours = loss(x.unsqueeze(0), y.unsqueeze(0), gamma=3.0, blur=0.7, tolerance=1e-13)
    assert float(ours.detach()) == pytest.approx(float(theirs.detach()), abs=1e-10)
    for envelope, tape in zip(
        torch.autograd.grad(ours.sum(), (x, y)), torch.autograd.grad(theirs, (x, y)), strict=True
    ):
        assert torch.allclose(envelope, tape, atol=1e-8)


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


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_and_autocast_lose_only_the_digits_of_the_states(dtype: torch.dtype) -> None:
    rng = torch.Generator().manual_seed(6)
    x, y = (torch.randn(3, size, 8, generator=rng).to(dtype) for size in (40, 9))
    sizes = torch.arange(40) < torch.tensor([[40], [3], [1]])
    expected = sequence_cost(x.float(), y.float(), sizes, full(y), gamma=10.0).value
    narrow = x.clone().requires_grad_()
    found = sequence_cost(narrow, y, sizes, full(y), gamma=10.0).value
    assert torch.equal(found, expected)
    found.sum().backward()
    assert narrow.grad is not None
    assert narrow.grad.dtype == dtype
    assert bool(torch.isfinite(narrow.grad).all())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(sequence_cost(x.float(), y, sizes, full(y), gamma=10.0).value, expected)


def test_bad_masks_are_refused() -> None:
    x = torch.zeros(1, 3, 2)
    with pytest.raises(ValueError, match="must fit"):
        sequence_cost(x, x, full(x)[:, :2], full(x))
    with pytest.raises(ValueError, match="empty"):
        sequence_cost(x, x, torch.zeros(1, 3, dtype=torch.bool), full(x))
    assert math.isfinite(float(loss(x, x)))
