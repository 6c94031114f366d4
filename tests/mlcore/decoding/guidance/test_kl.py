"""Divergences of a policy: closed forms and bounds."""

from __future__ import annotations

import math

import pytest
import torch

from mlcore.decoding.guidance.kl import Departure, aligned_bound, best_of_bound, divergence, policy_bound


def law(*chances: float) -> torch.Tensor:
    return torch.tensor(chances, dtype=torch.float64)


def test_divergence_over_a_part_of_the_vocabulary() -> None:
    # all on one token of probability 1/4: log 4, whatever the others have
    assert divergence(law(1, 0), law(0.25, 0.1).log()) == pytest.approx(math.log(4))
    assert divergence(law(0.5, 0.5), law(0.5, 0.5).log()) == 0
    assert divergence(law(0.5, 0.5), law(0.2, 0.8).log()) == pytest.approx(0.5 * math.log(0.25 / 0.16))


def test_what_the_other_law_excludes_is_infinitely_far() -> None:
    assert divergence(law(0.5, 0.5), law(1, 0).log()) == math.inf
    assert divergence(law(1, 0), law(1, 0).log()) == 0


def test_both_sums_add_up_over_an_answer() -> None:
    found = Departure()
    for chosen in (0, 1):
        found.add(law(0.5, 0.5), law(0.2, 0.8).log(), chosen)
    assert found.divergence == pytest.approx(math.log(0.25 / 0.16))
    assert found.log_ratio == pytest.approx(math.log(0.5 / 0.2) + math.log(0.5 / 0.8))


def test_bounds() -> None:
    assert best_of_bound(1) == 0
    assert best_of_bound(4) == pytest.approx(math.log(4) - 0.75)
    assert policy_bound(3, 1.0, 0.5) == 6
    assert aligned_bound(3, 1.0, 0.5, 0.25) == 10
