"""Facets count every hit once, in bars that a reader can name."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcore.retrieval.candidates import Candidate
from mlcore.retrieval.facets import BARS, bars, facets
from mlcore.retrieval.filters import Filters
from mlcore.retrieval.search import Searcher, SearchRequest
from mlcore.retrieval.shelf import NUMBERS, Shelf
from tests.mlcore.retrieval import small


@pytest.fixture(scope="module")
def shelf() -> Shelf:
    return Shelf(small.library())


def hits(rows: np.ndarray) -> list[Candidate]:
    return [Candidate(0, int(row), 0.5, ("meaning",)) for row in rows]


def test_every_hit_is_counted_once_in_every_number(shelf: Shelf) -> None:
    rows = np.arange(0, shelf.size, 2)
    counted = facets(hits(rows), [shelf])
    assert counted["total"] == len(rows)
    assert [number["name"] for number in counted["numbers"]] == list(NUMBERS)
    assert all(sum(number["counts"]) == len(rows) for number in counted["numbers"])
    assert sum(counted["categories"].values()) == len(rows)
    assert counted["libraries"] == [{"id": "small", "name": "small", "count": len(rows)}]


def test_a_bar_holds_what_a_filter_between_its_ends_finds(shelf: Shelf) -> None:
    for number in facets(hits(np.arange(shelf.size)), [shelf])["numbers"]:
        values = shelf.columns[number["name"]]
        assert (number["min"], number["max"]) == pytest.approx((values.min(), values.max()), abs=1e-4)
        ends = list(zip(number["edges"], number["edges"][1:], strict=False))
        for count, (low, high) in zip(number["counts"], ends, strict=True):
            within = (values >= low) & ((values < high) | (values == high) & (high == ends[-1][1]))
            assert count == within.sum(), (number["name"], low)


def test_nothing_found_is_no_histogram(shelf: Shelf) -> None:
    counted = facets([], [shelf])
    assert (counted["total"], counted["numbers"], counted["categories"]) == (0, [], {})
    assert counted["libraries"][0]["count"] == 0


values = st.lists(st.floats(-2000, 5000).map(lambda value: round(value, 4)), min_size=1, max_size=200)


@given(values)
@settings(max_examples=200, deadline=None)
def test_bars_hold_everything_and_are_few(given_: list[float]) -> None:
    array = np.array(given_)
    edges = bars(array, whole=False)
    assert edges == sorted(set(edges))
    assert edges[0] <= array.min()
    assert edges[-1] >= array.max()
    assert 2 <= len(edges) <= BARS + 1
    assert np.histogram(array, edges)[0].sum() == len(array)


@given(st.lists(st.integers(-8, 150), min_size=1, max_size=200))
@settings(max_examples=200, deadline=None)
def test_whole_numbers_get_whole_bars(given_: list[int]) -> None:
    array = np.array(given_, float)
    edges = bars(array, whole=True)
    assert all(edge == int(edge) for edge in edges)
    assert edges[0] <= array.min() <= array.max() < edges[-1]
    assert len(edges) <= BARS + 1
    assert np.histogram(array, edges)[0].sum() == len(array)
    if array.max() - array.min() < 6:
        assert edges == [float(n) for n in range(int(array.min()), int(array.max()) + 2)]


def test_a_long_tail_does_not_flatten_the_rest() -> None:
    array = np.concatenate([np.linspace(100, 499, 990), np.linspace(5000, 9000, 10)])
    counts = np.histogram(array, bars(array, whole=False))[0]
    assert counts[-1] == 10
    assert counts.max() < 200


def test_they_follow_the_filters_and_are_there_only_when_asked_for() -> None:
    light = Filters.parse({"weight_max": "100"})
    found = small.searcher().search(SearchRequest("an alcohol", filters=light, facets=True, k=2))
    weight = found["facets"]["numbers"][0]
    assert weight["name"] == "weight"
    assert weight["max"] <= 100
    assert found["facets"]["total"] == found["total"] > len(found["hits"])
    assert "facets" not in small.searcher().search(SearchRequest("an alcohol"))


def test_a_molecule_in_two_libraries_counts_in_both() -> None:
    other = small.made_library(
        "facets", [("acetylsalicylate", "", "CC(=O)Oc1ccccc1C(=O)O", "drug", "An acid.")]
    )
    two = Searcher(small.model(), {"small": small.library(), "facets": other})
    found = two.search(SearchRequest("C9H8O4", facets=True))
    assert found["total"] == 1
    assert [entry["count"] for entry in found["facets"]["libraries"]] == [1, 1]
    assert found["facets"]["categories"] == {"drug": 1}
