"""A seeded source: every decision has a number of its own, and its chances are right."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import binomtest, chisquare

from mlcore.decoding.randomness import Seeded

DRAWS = 50_000


def test_acceptances_and_samples_use_one_stream_without_repeats() -> None:
    """Whether a decision is a sample of two tokens or an acceptance, it is made by the next number of the stream."""
    half = torch.tensor([[0.5, 0.5]])
    samples, acceptances, mixed = Seeded(3), Seeded(3), Seeded(3)
    wanted = [samples.sample(half)[0] == 0 for _ in range(10_000)]
    assert [acceptances.accept(0.5) for _ in range(10_000)] == wanted
    found = [mixed.accept(0.5) if turn % 3 else mixed.sample(half)[0] == 0 for turn in range(10_000)]
    assert found == wanted


def test_a_fresh_source_can_accept_at_once() -> None:
    assert Seeded(0).accept(1.0)
    assert not Seeded(0).accept(0.0)


@pytest.mark.parametrize("chance", [0.01, 0.5, 0.9])
def test_acceptances_come_as_often_as_they_should(chance: float) -> None:
    """Exact binomial test at level 1e-4."""
    source = Seeded(11)
    source.sample(torch.ones(1, 1))
    taken = sum(source.accept(chance) for _ in range(DRAWS))
    assert binomtest(taken, DRAWS, chance).pvalue > 1e-4


def test_samples_follow_their_laws_and_never_a_token_without_mass() -> None:
    """Chi-square at level 1e-4."""
    law = torch.tensor([0.0, 0.3, 0.0, 0.6, 0.1, 0.0])
    tokens = torch.tensor(Seeded(12).sample(law.expand(DRAWS, -1)))
    counts = tokens.bincount(minlength=6)
    assert counts[[0, 2, 5]].sum() == 0
    assert (
        chisquare(
            counts[[1, 3, 4]].numpy(), DRAWS * law[[1, 3, 4]].double().numpy() / law.double().sum().item()
        ).pvalue
        > 1e-4
    )


def test_laws_need_not_be_normalised() -> None:
    law = torch.rand(5, 7, generator=torch.Generator().manual_seed(0))
    assert Seeded(1).sample(law) == Seeded(1).sample(40 * law)
