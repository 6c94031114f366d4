"""The whole state of a search lives in its address."""

from __future__ import annotations

from django.http import QueryDict
from hypothesis import given
from hypothesis import strategies as st

from webapp.search.state import SearchState

FULL = (
    "q=rose&read_as=prose&mode=similar&same=parent&stereo=ignore&sort=-weight&k=50&offset=100&substructure=c1ccccc1&similar_to=CCO"
    "&similarity=0.5&elements=C%2CO&without=Cl&weight_min=100&weight_max=300.5&library=catalogue%40abcd&library=mine&model=beef"
)


def read(query: str) -> SearchState:
    state, form = SearchState.read(QueryDict(query))
    assert not form.errors
    return state


def test_an_address_survives_reading_and_writing():
    assert read(FULL).query() == f"?{FULL}"


def test_what_is_as_by_default_does_not_stand_in_the_address():
    assert read("q=x&k=20&offset=0&sort=score&mode=auto&weight_min=&library=").query() == "?q=x"


def test_the_empty_search_has_no_address():
    assert read("").empty
    assert read("").query() == ""


def test_pins_are_split_from_library_names():
    state = read("q=x&library=catalogue@abc&library=mine")
    assert state.libraries == ("catalogue", "mine")
    assert state.pins == {"catalogue": "abc"}
    assert state.pinned
    assert not state.unpinned().pinned


def test_a_change_goes_back_to_the_first_page():
    state = read("q=x&offset=40&weight_min=10&weight_max=20")
    assert state.changed(sort="name").offset == 0
    assert state.without(["weight_min"]).filters == {"weight_max": 20.0}


def test_a_faulty_field_is_named_and_the_rest_still_read():
    state, form = SearchState.read(QueryDict("q=x&weight_min=heavy&logp_max=2"))
    assert "write a number" in form.errors["weight_min"][0]
    assert state.filters == {"logp_max": 2.0}


def test_crossing_bounds_and_a_bound_without_structure_are_refused():
    _, form = SearchState.read(QueryDict("q=x&weight_min=300&weight_max=100&similarity=0.5"))
    assert "300" in form.errors["weight_min"][0]
    assert "structure to compare with" in form.errors["similarity"][0]


@given(
    st.dictionaries(
        st.sampled_from(["weight_min", "logp_max", "charge_min"]), st.floats(-1e6, 1e6), min_size=1
    )
)
def test_numbers_are_written_as_they_were_read(bounds):
    query = QueryDict(mutable=True)
    query.update({"q": "x", **{name: repr(value) for name, value in bounds.items()}})
    state, form = SearchState.read(query)
    assert not form.errors
    again, _ = SearchState.read(QueryDict(state.query()[1:]))
    assert again == state
    assert dict(state.filters) == bounds


@given(st.text(max_size=60))
def test_any_text_survives(text):
    query = QueryDict(mutable=True)
    query["q"] = text
    state, form = SearchState.read(query)
    if not form.errors:
        assert SearchState.read(QueryDict(state.query()[1:]))[0].q == state.q == text
