"""Metrics on matrices whose answer is known."""

import numpy as np
import pytest

from mlcore.retrieval.ranking import ranks, summary


def test_identity_is_perfect() -> None:
    found = ranks(np.eye(5), np.arange(5))
    figures = summary(found, 5)
    assert figures["hits@1"] == figures["mrr"] == figures["mean_rank"] == 1


def test_ties_count_against() -> None:
    assert ranks(np.zeros((3, 7)), np.arange(3)).tolist() == [7, 7, 7]


def test_known_ranks() -> None:
    scores = np.array([[0.1, 0.9, 0.5], [0.3, 0.2, 0.1]])
    found = ranks(scores, np.array([2, 2]))
    assert found.tolist() == [2, 3]
    assert summary(found, 3)["mrr"] == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert summary(found, 3)["hits@5"] == 1
