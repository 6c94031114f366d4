"""Bars and counts of the filter panel: nothing lost, everything in words."""

from __future__ import annotations

from django.http import QueryDict
from hypothesis import given
from hypothesis import strategies as st

from webapp.search import spread
from webapp.search.quantities import BY_NAME
from webapp.search.state import SearchState

WEIGHT = {
    "name": "weight",
    "min": 46.07,
    "max": 1134.987,
    "edges": [0.0, 200.0, 400.0, 1134.987],
    "counts": [5, 20, 1],
}
RINGS = {"name": "rings", "min": 0, "max": 6, "edges": [0.0, 1.0, 2.0, 7.0], "counts": [4, 0, 3]}


def test_bars_in_words():
    drawn = spread.spread(WEIGHT, BY_NAME["weight"], 26)
    assert [bar.words for bar in drawn.bars] == [
        "0 to 200 g/mol: 5",
        "200 to 400 g/mol: 20",
        "400 to 1,135 g/mol: 1",
    ]
    assert (drawn.least, drawn.most) == ("46.1", "1135")
    assert drawn.sentence == (
        "Molecular weight of the 26 found: 46.1 to 1,135 g/mol; most often 200 to 400 g/mol (20)."
    )


def test_whole_numbers_name_what_they_hold():
    drawn = spread.spread(RINGS, BY_NAME["rings"], 7)
    assert [bar.words for bar in drawn.bars] == ["0: 4", "1: 0", "2 to 6: 3"]
    same = {**RINGS, "max": 0, "edges": [0.0, 1.0], "counts": [7]}
    assert spread.spread(same, BY_NAME["rings"], 7).sentence == "Rings of the 7 found: 0 for all."


def test_charges_have_true_minus_signs():
    charge = {
        "name": "charge",
        "min": -2,
        "max": 1,
        "edges": [-2.0, -1.0, 0.0, 1.0, 2.0],
        "counts": [1, 1, 8, 1],
    }
    drawn = spread.spread(charge, BY_NAME["charge"], 11)
    assert drawn.bars[0].words == "−2 e: 1"
    assert drawn.least == "-2", "an end is written as one would type it"


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=18).filter(any))
def test_bars_stay_in_the_drawing_and_show_every_hit(counts):
    number = {"name": "logp", "min": 0, "max": 9, "edges": list(range(len(counts) + 1)), "counts": counts}
    drawn = spread.spread(number, BY_NAME["logp"], sum(counts))
    for bar, count in zip(drawn.bars, counts, strict=True):
        assert (bar.height > 0) == (count > 0)
        assert 0 <= bar.y <= bar.y + bar.height <= spread.HEIGHT + 0.02
        assert 0 <= bar.x < bar.x + bar.width <= spread.WIDTH
    assert max(bar.height for bar in drawn.bars) == spread.HEIGHT


def test_categories_lead_to_themselves_and_back():
    facets = {"categories": {f"kind {n}": 20 - n for n in range(12)}}
    state, _ = SearchState.read(QueryDict("q=x&category=kind 9,kind 3&offset=20"))
    counts = spread.categories(state, facets)
    assert [(entry.name, entry.on) for entry in counts[:3]] == [
        ("kind 3", True),
        ("kind 9", True),
        ("kind 0", False),
    ]
    assert counts[0].url == "?q=x&category=kind+9"
    assert counts[2].url == "?q=x&category=kind+0"
    assert len(counts) == spread.MOST_CATEGORIES
