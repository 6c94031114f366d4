"""The contrastive loss against its definition, term by term, and its gradient against differences."""

from __future__ import annotations

import math

import pytest
import torch

from mlcore.retrieval.losses import symmetric_contrast


def by_definition(scores: torch.Tensor, same: torch.Tensor) -> float:
    """ORMA eq. 12: the mean negative log share of each true pair in its row and in its column, halved and added."""
    count = len(scores)
    total = 0.0
    for i in range(count):
        row = [float(scores[i, j]) for j in range(count) if j == i or not same[i, j]]
        column = [float(scores[j, i]) for j in range(count) if j == i or not same[j, i]]
        for others in (row, column):
            total -= math.log(math.exp(float(scores[i, i])) / sum(math.exp(value) for value in others))
    return total / (2 * count)


def made(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    scores = 3 * torch.randn(count, count, generator=generator, dtype=torch.float64)
    return scores, torch.rand(count, count, generator=generator) < 0.3


@pytest.mark.parametrize(("count", "seed"), [(1, 0), (2, 1), (5, 2), (9, 3)])
def test_it_is_what_the_equation_says(count: int, seed: int) -> None:
    scores, same = made(count, seed)
    assert symmetric_contrast(scores, same).item() == pytest.approx(by_definition(scores, same), rel=1e-12)


def test_equal_scores_cost_the_logarithm_of_their_number() -> None:
    nobody = torch.zeros(7, 7, dtype=torch.bool)
    assert symmetric_contrast(torch.full((7, 7), 4.0), nobody).item() == pytest.approx(math.log(7), rel=1e-6)


def test_its_gradient_is_that_of_differences() -> None:
    scores, same = made(5, 4)
    assert torch.autograd.gradcheck(lambda x: symmetric_contrast(x, same), scores.requires_grad_())


def test_what_is_true_as_well_is_neither_pushed_away_nor_pulled() -> None:
    scores, same = made(6, 5)
    scores.requires_grad_()
    symmetric_contrast(scores, same).backward()
    assert scores.grad is not None
    off = ~torch.eye(6, dtype=torch.bool)
    assert (scores.grad[same & off] == 0).all()
    assert (scores.grad[~same & off] > 0).all()
    assert (scores.grad.diagonal() < 0).all()


def test_texts_and_molecules_may_change_places() -> None:
    scores, same = made(6, 6)
    turned = symmetric_contrast(scores.T, same.T)
    assert symmetric_contrast(scores, same).item() == pytest.approx(turned.item(), rel=1e-12)


def test_adding_to_all_scores_changes_nothing() -> None:
    scores, same = made(6, 7)
    assert symmetric_contrast(scores + 11, same).item() == pytest.approx(
        symmetric_contrast(scores, same).item(), rel=1e-12
    )
