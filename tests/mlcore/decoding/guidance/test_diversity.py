"""Diversity: the published figure with its quirk, and the corrected one."""

from __future__ import annotations

import pytest

from mlcore.decoding.guidance.diversity import diversity


def test_the_published_code_counts_one_ngram_too_many() -> None:
    assert diversity("a b c d e", released=True) == pytest.approx(0.8 * 0.75 * 2 / 3)  # 0.4
    assert diversity("a b c d e") == 1


def test_repetition_counts_in_every_order() -> None:
    # bigrams ab ba ab ba (2 of 4), trigrams aba bab aba (2 of 3), 4-grams abab baba (2 of 2)
    assert diversity("a b a b a") == pytest.approx(1 / 2 * 2 / 3)
    assert diversity("a b a b a", released=True) == pytest.approx(2 / 5 * 2 / 4 * 2 / 3)
    assert diversity("x " * 100) == pytest.approx(1 / 99 / 98 / 97)


def test_short_texts_do_not_repeat() -> None:
    assert diversity("") == diversity("one") == diversity("one two") == 1
    assert diversity("", released=True) == 0  # no n-gram of the one that it counts


def test_longer_texts_lose_less_to_the_quirk() -> None:
    short, long = (diversity(" ".join(map(str, range(n))), released=True) for n in (5, 500))
    assert short < long < 1
