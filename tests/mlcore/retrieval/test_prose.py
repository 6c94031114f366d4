"""Ranking in words against its definition: every channel of every row, computed one by one, on a small library."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcore.retrieval import prose
from mlcore.retrieval.allowed import Allowed
from mlcore.retrieval.candidates import Candidate
from mlcore.retrieval.fusion import Calibration, Fusion
from mlcore.retrieval.prose import rank_prose
from mlcore.retrieval.shelf import Shelf
from tests.mlcore.retrieval import small

FUSION = Fusion(
    words=2.0,
    total_centre=5.0,
    total_scale=2.0,
    sentence_centre=0.5,
    description_centre=0.5,
    description_scale=0.2,
)
CALIBRATION = Calibration(a=5.0, b=-2.0, text_a=7.0, text_b=-3.0)
TEXT = "an aromatic acid against pain"


def shelf() -> Shelf:
    return next(iter(small.searcher().shelves.values()))


def rank(
    text: str, shelves: list[Shelf], allowed: list[Allowed] | None = None, fusion: Fusion = FUSION
) -> list[Candidate]:
    encoding = small.model().encode_texts([text])
    given = allowed or [Allowed(None)] * len(shelves)
    return rank_prose(text, encoding, small.model(), shelves, given, fusion, CALIBRATION)


def one_by_one(text: str) -> dict[int, float]:
    """The score of every row of the library, from its own channels alone."""
    held = shelf()
    encoding = small.model().encode_texts([text])
    words = held.lexical.scores(text)
    wordings, owners = held.library.wordings, held.library.description_vectors[1]
    found = {}
    for row in range(held.size):
        total = small.model().rerank(encoding, 0, held.library.encoding(np.array([row]))).total
        own = [
            float(encoding.wordings[0] @ w) for w, owner in zip(wordings, owners, strict=True) if owner == row
        ]
        described = np.array([max(own, default=-np.inf)])
        fused = FUSION.fuse(
            FUSION.total_level(total),
            FUSION.description_level(described),
            words[row : row + 1],
            np.isfinite(described),
        )
        found[row] = float(CALIBRATION.probability(fused, np.isfinite(described))[0])
    return found


@pytest.mark.parametrize("text", [TEXT, "the smell of roses", "a poisonous gas", "zzz"])
def test_every_score_is_that_of_the_rows_own_channels(text: str) -> None:
    assert shelf().size <= min(prose.POOL, prose.SHORTLIST)
    ranked = rank(text, [shelf()])
    expected = one_by_one(text)
    assert sorted(candidate.row for candidate in ranked) == list(range(shelf().size))
    for candidate in ranked:
        assert candidate.score == pytest.approx(
            expected[candidate.row], abs=2e-3
        )  # wordings are kept in float16


def test_what_is_filtered_out_neither_appears_nor_changes_the_others() -> None:
    keep = np.arange(shelf().size) % 3 == 0
    everything = {candidate.row: candidate.score for candidate in rank(TEXT, [shelf()])}
    kept = {candidate.row: candidate.score for candidate in rank(TEXT, [shelf()], [Allowed(keep)])}
    assert sorted(kept) == np.flatnonzero(keep).tolist()
    assert kept == pytest.approx({row: everything[row] for row in kept})
    assert rank(TEXT, [shelf()], [Allowed(np.zeros(shelf().size, bool))]) == []


def test_two_libraries_rank_as_one_that_holds_both() -> None:
    """Words aside, whose rarity is that of the library they are in."""
    fusion = replace(FUSION, words=0.0)
    halves = [Shelf(small.made_library(f"half-{i}", small.MOLECULES[i::2])) for i in (0, 1)]
    together = {
        shelf().titles[candidate.row]: candidate.score for candidate in rank(TEXT, [shelf()], fusion=fusion)
    }
    apart = {
        halves[candidate.shelf].titles[candidate.row]: candidate.score
        for candidate in rank(TEXT, halves, fusion=fusion)
    }
    assert apart == pytest.approx(together, abs=1e-4)


def test_what_was_not_reranked_stays_below_and_in_the_first_stages_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(prose, "SHORTLIST", 5)
    calibration = Calibration(
        a=5.0, b=-2.0, text_a=5.0, text_b=-2.0
    )  # else the two kinds have scores of their own
    encoding = small.model().encode_texts([TEXT])
    ranked = rank_prose(TEXT, encoding, small.model(), [shelf()], [Allowed(None)], FUSION, calibration)
    first = [candidate for candidate in ranked if "token" in (candidate.parts or {})]
    rest = [candidate for candidate in ranked if "token" not in (candidate.parts or {})]
    assert len(first) == 5
    assert len(rest) == shelf().size - 5
    assert max(candidate.score for candidate in rest) <= min(candidate.score for candidate in first)
    pool = prose.pool_of(TEXT, encoding, shelf(), Allowed(None))
    early = FUSION.fuse(
        FUSION.sentence_level(pool.sentence),
        FUSION.description_level(pool.description),
        pool.words,
        pool.has_text,
    )
    by_row = dict(zip(pool.rows.tolist(), early, strict=True))
    lowest = min(by_row[candidate.row] for candidate in first)
    assert all(by_row[candidate.row] <= lowest + 1e-9 for candidate in rest)


@pytest.mark.parametrize("number", [0, 3, 20])
def test_whose_description_is_pasted_is_on_top(number: int) -> None:
    text = small.MOLECULES[number][4]
    ranked = rank(text, [shelf()], fusion=replace(FUSION, meaning=50.0))
    best = max(ranked, key=lambda candidate: candidate.score)
    assert shelf().titles[best.row] == small.MOLECULES[number][0]


def test_channels_say_whether_the_words_matched() -> None:
    words = shelf().lexical.scores(TEXT)
    for candidate in rank(TEXT, [shelf()]):
        assert ("words" in candidate.channels) == (words[candidate.row] >= prose.NOTABLE)
        assert candidate.has_text


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-3, 3), max_size=12), st.integers(1, 6))
def test_the_best_places_are_those_of_a_full_sort(values: list[int], most: int) -> None:
    found = prose._best(np.array(values, float), most, above=0.0)
    positive = [place for place, value in enumerate(values) if value > 0]
    expected = sorted(positive, key=lambda place: (-values[place], place))[:most]
    assert sorted(found.tolist()) == sorted(expected)
