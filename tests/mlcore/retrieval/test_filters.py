"""Filters are read from URL parameters, written back the same, and faults in them are named."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcore.retrieval.allowed import evaluate
from mlcore.retrieval.filters import Filters
from mlcore.retrieval.shelf import NUMBERS, Shelf
from mlcore.runtime.errors import InputError
from tests.mlcore.retrieval import small


@pytest.fixture(scope="module")
def shelf() -> Shelf:
    return Shelf(small.library())


@pytest.mark.parametrize(
    ("parameters", "field", "message"),
    [
        ({"weight_min": "heavy"}, "weight_min", "not a number"),
        ({"logp_max": "inf"}, "logp_max", "not a number"),
        ({"weight_min": "5", "weight_max": "3"}, "weight_min", "above the greatest"),
        ({"elements": "Xx"}, "elements", "not an element"),
        ({"mass": "-3"}, "mass", "above zero"),
        ({"mass": "10", "mass_tolerance": "some"}, "mass_tolerance", "not a tolerance"),
        ({"similarity": "7"}, "similarity", "outside 0 to 1"),
        ({"substructure": "[C"}, "substructure", "cannot be read"),
        ({"similar_to": "C1CC"}, "similar_to", "never closed"),
        ({"substructure": "C" * 500}, "substructure", "200 is the limit"),
    ],
)
def test_bad_parameters_are_named(shelf: Shelf, parameters: dict[str, str], field: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        evaluate(Filters.parse(parameters), shelf)
    assert caught.value.field == field


numbers = st.floats(-1e4, 1e4, allow_nan=False).map(lambda value: round(value, 4))


@given(
    st.dictionaries(st.sampled_from(NUMBERS), st.tuples(numbers, numbers), max_size=4),
    st.none() | st.floats(1, 2000).map(lambda value: round(value, 4)),
    st.sets(st.sampled_from(["C", "N", "Cl", "Br", "Fe"])),
    st.floats(0, 1).map(lambda value: round(value, 3)),
)
@settings(max_examples=80, deadline=None)
def test_parameters_read_back(
    ranges: dict[str, tuple[float, float]], mass: float | None, elements: set[str], similarity: float
) -> None:
    given_: dict[str, str] = {
        "elements": ",".join(elements),
        "similar_to": "CCO",
        "similarity": str(similarity),
    }
    for name, ends in ranges.items():
        given_[f"{name}_min"], given_[f"{name}_max"] = (str(end) for end in sorted(ends))
    if mass is not None:
        given_ |= {"mass": str(mass), "mass_tolerance": "3 ppm"}
    filters = Filters.parse(given_)
    assert Filters.parse(filters.parameters()) == filters
    assert list(Filters.parse(filters.parameters()).parameters().items()) == list(
        filters.parameters().items()
    )
    assert filters.words()
