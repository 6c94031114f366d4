"""The losses of a draft: what they are, that they have the gradient they claim, and that padding counts nothing."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Categorical, kl_divergence

from mlcore.decoding.language.distillation import cross_entropy, distillation, overlap


def logits(rows: int = 6, vocabulary: int = 7, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(rows, vocabulary, generator=generator, dtype=torch.float64)


WEIGHTS = torch.tensor([1.0, 0.3, 0.0, 2.0, 1.0, 0.0], dtype=torch.float64)


def test_overlap_is_one_less_the_total_variation():
    draft, target = logits(seed=1), logits(seed=2)
    variation = 0.5 * (draft.softmax(-1) - target.softmax(-1)).abs().sum(-1)
    torch.testing.assert_close(overlap(draft, target), 1 - variation)
    torch.testing.assert_close(overlap(draft, draft + 3), torch.ones(6, dtype=torch.float64))


def test_overlap_is_how_often_a_draft_is_accepted():
    """``sum_x p(x) min(1, q(x) / p(x))``, the law of acceptance, in closed form for two tokens."""
    draft = torch.tensor([[0.9, 0.1]], dtype=torch.float64).log()
    target = torch.tensor([[0.6, 0.4]], dtype=torch.float64).log()
    assert overlap(draft, target).item() == pytest.approx(0.9 * 0.6 / 0.9 + 0.1)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_loss_is_the_weighted_mean_of_both_divergences(share):
    draft, target = logits(seed=1), logits(seed=2)
    divergence = kl_divergence(Categorical(logits=target), Categorical(logits=draft))
    each = share * (1 - overlap(draft, target)) + (1 - share) * divergence
    loss, shared = distillation(draft, target, WEIGHTS, share)
    torch.testing.assert_close(loss, (each * WEIGHTS).sum() / WEIGHTS.sum())
    torch.testing.assert_close(shared, (overlap(draft, target) * WEIGHTS).sum() / WEIGHTS.sum())


@pytest.mark.parametrize("share", [0.0, 0.7, 1.0])
def test_its_gradient(share):
    target = logits(seed=2)
    draft = logits(seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda given: distillation(given, target, WEIGHTS, share)[0], draft)
    distillation(draft, target, WEIGHTS, share)[0].backward()
    assert draft.grad is not None
    assert (draft.grad[WEIGHTS == 0] == 0).all()
    assert (draft.grad[WEIGHTS > 0].abs().sum(-1) > 0).all()


def test_nothing_is_left_to_learn_from_oneself():
    target = logits(seed=2)
    draft = target.clone().requires_grad_()
    loss, shared = distillation(draft, target, WEIGHTS, 0.0)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-12)
    assert shared.item() == pytest.approx(1)
    assert draft.grad is not None
    assert draft.grad.abs().max() < 1e-12


def test_cross_entropy_is_the_weighted_mean():
    given, wanted = logits(), torch.tensor([0, 1, 2, 3, 4, 5])
    each = -given.log_softmax(-1)[torch.arange(6), wanted]
    torch.testing.assert_close(cross_entropy(given, wanted, WEIGHTS), (each * WEIGHTS).sum() / WEIGHTS.sum())
    torch.testing.assert_close(
        cross_entropy(given, wanted, 5 * WEIGHTS), cross_entropy(given, wanted, WEIGHTS)
    )
