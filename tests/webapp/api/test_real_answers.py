"""The schema promises what the door really answers: each verb, over a small library with a small model."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rest_framework import serializers

from tests.webapp.api.test_schema import same_shape
from webapp.api.serializers import answers
from webapp.api.views.export import FILES
from workers import science


@pytest.fixture(scope="module")
def loaded() -> Any:
    """What the engine would have loaded."""
    from tests.mlcore.retrieval import small

    return SimpleNamespace(
        model=small.model(), libraries={"small": small.library()}, searcher=small.searcher()
    )


def check(serializer: type[serializers.Serializer], answer: Any) -> None:
    """Assert that the answer has the declared keys at every depth."""
    declared = serializer(answer).data
    assert same_shape(declared, answer), (declared, answer)


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("a terpene alcohol that smells of roses", {}),
        ("asprin", {}),
        ("C9H8O4", {"sort": "-weight"}),
        ("c1ccccc1", {"mode": "similar"}),
        ("[#6]-[#8]", {"read_as": "smarts", "stereo": "ignore"}),
        ("zzz", {"filters": {"weight_max": 50.0, "elements": "C,O"}, "k": 3, "offset": 1}),
    ],
)
def test_search(loaded: Any, text: str, options: dict[str, Any]) -> None:
    answer = science.do_search(loaded, text=text, libraries=("small",), **options)
    check(answers.SearchAnswer, answer)


def test_what_leads_to_a_molecule_and_what_is_known_of_it(loaded: Any) -> None:
    suggested = science.do_suggest(loaded, prefix="ger", libraries=("small",), k=3)
    check(answers.SuggestAnswer, suggested)
    found = suggested["suggestions"][0]
    assert found["name"] == "geraniol"
    check(answers.MoleculeAnswer, science.do_molecule(loaded, library="small", id=found["id"]))
    near = science.do_neighbours(loaded, library="small", id=found["id"], k=2)
    check(answers.NeighboursAnswer, near)
    assert len(near["hits"]) == 2


def test_describe_and_lookup(loaded: Any) -> None:
    described = science.do_describe(loaded, structure="CCO", libraries=("small",), k=3)
    check(answers.DescribeAnswer, described)
    assert len(described["texts"]) == 3
    items = ["geraniol", "unobtainium", "C1CC", "C9H8O4", "BSYNRYMUTXBXSQ"]
    looked_up = science.do_lookup(loaded, items=items, libraries=("small",))
    check(answers.LookupAnswer, looked_up)
    assert [entry["item"] for entry in looked_up["items"]] == items
    assert looked_up["found"] + looked_up["ambiguous"] + looked_up["not_found"] == len(items)


@pytest.mark.parametrize("format_", ["csv", "sdf", "smi"])
def test_export(loaded: Any, format_: str) -> None:
    rows = [["small", "M021"], ["small", "M001"]]
    name, content_type, content = science.do_export(loaded, format=format_, rows=rows, query="rose")
    assert name.endswith(format_)
    assert content_type.split(";")[0] in [kind for _, kind in FILES]
    assert content.index(b"geraniol") < content.index(b"aspirin")


def test_every_filter_and_order_of_the_api_is_known_below(loaded: Any) -> None:
    from webapp.api.serializers.parameters import BOUNDS, SORTS

    given: dict[str, Any] = dict.fromkeys(BOUNDS, 10.0)
    given |= {"substructure": "C", "similar_to": "CC", "similarity": 0.3, "elements": "C", "without": "F"}
    given |= {"only": "C,H", "mass": 100.0, "mass_tolerance": "0.01Da", "category": "gas"}
    science.do_search(loaded, text="gas", libraries=("small",), filters=given)
    for sort in SORTS:
        science.do_search(loaded, text="gas", libraries=("small",), sort=sort)


def test_readings_and_modes_of_the_api_are_known_below(loaded: Any) -> None:
    from mlcore.retrieval.query import KINDS
    from mlcore.retrieval.search import MODES
    from webapp.api.serializers import parameters

    assert set(parameters.READINGS) == {"auto", *KINDS}
    assert parameters.MODES == MODES


def test_a_dry_run(tmp_path: Path) -> None:
    source = tmp_path / "source.csv"
    source.write_text("SMILES,name\nCCO,ethanol\nC(C)(C)(C)(C)C,wrong\nOCC,again\n")
    report = science.do_check_import(str(source))
    assert (report["read"], report["used"], report["refused"], report["duplicates"]) == (3, 1, 1, 1)
    check(answers.ImportReport, report)
