"""Rewards of tokens: what the reward sees, and how often."""

from __future__ import annotations

import pytest

from mlcore.decoding.guidance.scoring import Scorer
from mlcore.decoding.rewards import RewardError
from tests.mlcore.decoding.alignment import decode, reward

ENDS = frozenset({2, 5})


def test_nothing_from_an_end_on_is_seen() -> None:
    seen: list[list[int]] = []

    def noted(tokens: object) -> str:
        seen.append(list(tokens))  # type: ignore[call-overload]
        return decode(seen[-1])

    scorer = Scorer(reward(lambda text: float(len(text))), noted, ENDS)
    assert scorer([(0, 1, 2, 1, 1), (5, 0), (1, 1), (0, 5, 2)]).tolist() == [2, 0, 2, 1]
    assert seen == [[0, 1], [], [1, 1], [0]]


def test_a_text_is_scored_once_and_a_batch_in_one_call() -> None:
    r = reward(lambda text: float(len(text)))
    scorer = Scorer(r, decode, ENDS)
    assert scorer([(0,), (1,), (0,), (0, 2)]).tolist() == [1, 1, 1, 1]
    assert r.seen == [["a", "b"]]
    assert scorer([(1,), (1, 1)]).tolist() == [1, 2]
    assert scorer([(1,)]).tolist() == [1]
    assert r.seen == [["a", "b"], ["bb"]]
    assert scorer.scored == 3


def test_the_text_used_longest_ago_is_forgotten() -> None:
    r = reward(lambda text: float(len(text)))
    scorer = Scorer(r, decode, ENDS, remembered=2)
    for tokens in ((0,), (1,), (0,), (3,), (0,), (1,)):
        scorer([tokens])
    assert r.seen == [["a"], ["b"], ["d"], ["b"]]
    many = [(0,), (1,), (3,), (4,)]
    assert scorer(many).tolist() == [1, 1, 1, 1]  # more texts than are remembered
    assert scorer.scored == 4 + 2


def test_a_failed_batch_is_not_remembered() -> None:
    bad = [True]

    def function(text: str) -> float:
        return float("nan") if bad[0] else 1.0

    scorer = Scorer(reward(function), decode, ENDS)
    with pytest.raises(RewardError, match="text 'ab'"):
        scorer([(0, 1)])
    bad[0] = False
    assert scorer([(0, 1)]).tolist() == [1]
