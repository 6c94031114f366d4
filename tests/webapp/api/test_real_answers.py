"""The schema promises what the door really answers: each verb, over a small library with a small model."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rdkit import Chem
from rest_framework import serializers

from tests.webapp.api.test_schema import same_shape
from webapp.api.serializers import answers
from webapp.api.views.export import FILES
from workers import science
from workers.errors import BadInput

SHIPPED = Path(__file__).parents[3] / "models" / "retrieval" / "catalogue" / "manifest.json"


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
        ("CC(=O)[O-]", {"mode": "exact", "same": "tautomer"}),
        ("an acid", {"facets": True}),
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


def test_an_exported_hit_is_read_again_with_its_rank_and_score(loaded: Any) -> None:
    hits = science.do_search(loaded, text="a terpene alcohol", libraries=("small",), k=4)["hits"]
    rows = [["small", hit["molecule"]["id"], hit["rank"], hit["score"]] for hit in hits]
    _, _, table, _ = science.do_export(loaded, format="csv", rows=[*rows, ["small", "M001"]], query="rose")
    lines = list(csv.DictReader(io.StringIO(table.decode("utf-8-sig"))))
    assert [line["ID"] for line in lines[:-1]] == [hit["molecule"]["id"] for hit in hits]
    assert [int(line["Rank"]) for line in lines[:-1]] == [1, 2, 3, 4]
    assert [float(line["Score"]) for line in lines[:-1]] == [hit["score"] for hit in hits]
    assert (lines[-1]["Rank"], lines[-1]["Score"]) == ("", "")
    _, _, block, _ = science.do_export(loaded, format="sdf", rows=[*rows, ["small", "M001"]], query="rose")
    molecules = list(Chem.ForwardSDMolSupplier(io.BytesIO(block)))
    assert [int(mol.GetProp("Rank")) for mol in molecules[:-1]] == [1, 2, 3, 4]
    assert [float(mol.GetProp("Score")) for mol in molecules[:-1]] == [hit["score"] for hit in hits]
    assert not molecules[-1].HasProp("Rank")
    for number in ({"rank": 0, "score": 0.5}, {"rank": 1, "score": float("nan")}, {"rank": 1, "score": 1.1}):
        with pytest.raises(BadInput):
            science.do_export(loaded, format="smi", rows=[["small", "M001", *number.values()]], query="")


@pytest.mark.parametrize("format_", ["csv", "sdf", "smi"])
def test_export(loaded: Any, format_: str) -> None:
    rows = [["small", "M021"], ["small", "M001"]]
    name, content_type, content, notes = science.do_export(loaded, format=format_, rows=rows, query="rose")
    assert name.endswith(format_)
    assert notes == []
    assert content_type.split(";")[0] in [kind for _, kind in FILES]
    assert content.index(b"geraniol") < content.index(b"aspirin")


def test_every_filter_and_order_of_the_api_is_known_below(loaded: Any) -> None:
    from webapp.search.vocabulary import BOUNDS, CONDITIONS, SORTS

    given: dict[str, Any] = dict.fromkeys(BOUNDS, 10.0)
    given |= {"substructure": "C", "similar_to": "CC", "similarity": 0.3, "elements": "C", "without": "F"}
    given |= {"only": "C,H", "mass": 100.0, "mass_tolerance": "0.01Da", "category": "gas"}
    assert set(given) == {*BOUNDS, *(condition.name for condition in CONDITIONS)}
    science.do_search(loaded, text="gas", libraries=("small",), filters=given)
    for sort in SORTS:
        science.do_search(loaded, text="gas", libraries=("small",), sort=sort)


def test_the_words_of_a_search_are_those_of_the_science(loaded: Any) -> None:
    from dataclasses import fields

    from mlcore.retrieval.export import FORMATS
    from mlcore.retrieval.query import KINDS
    from mlcore.retrieval.sameness import SAMES
    from mlcore.retrieval.search import MODES, SORTS, SearchRequest
    from webapp.search import vocabulary

    assert set(vocabulary.READINGS) == {"auto", *KINDS}
    assert vocabulary.names(vocabulary.MODES) == MODES
    assert vocabulary.names(vocabulary.SAME) == SAMES
    assert vocabulary.names(vocabulary.EXPORT_FORMATS) == tuple(FORMATS)
    assert {name.removeprefix("-") for name in vocabulary.SORTS} == set(SORTS)
    defaults = {field.name: field.default for field in fields(SearchRequest)}
    assert vocabulary.DEFAULTS.items() <= defaults.items()


@pytest.fixture(scope="module")
def shipped() -> Any:
    """The shipped model over the shipped catalogue."""
    from tests.mlcore.retrieval.shipped import searcher

    found = searcher()
    libraries = {name: shelf.library for name, shelf in found.shelves.items()}
    return SimpleNamespace(model=found.model, libraries=libraries, searcher=found)


@pytest.mark.skipif(not SHIPPED.is_file(), reason="the shipped model is not here")
def test_explanation_and_comparison_of_the_shipped_model(shipped: Any) -> None:
    text = "a monoterpenoid alcohol that smells of roses"
    hits = science.do_search(shipped, text=text, libraries=("catalogue",), k=2)["hits"]
    first, second = (hit["molecule"]["id"] for hit in hits)
    why = science.do_explain(shipped, text=text, library="catalogue", id=first)
    check(answers.ExplanationAnswer, why)
    assert [word["text"] for word in why["words"]] == text.split()
    assert sum(map(sum, why["plan"])) == pytest.approx(1, abs=1e-3)
    mol = Chem.MolFromSmiles(why["molecule"]["smiles"])
    assert {len(row) for row in why["atom_scores"]} == {mol.GetNumAtoms()}
    both = science.do_compare(shipped, text=text, library="catalogue", first=first, second=second)
    check(answers.ComparisonAnswer, both)
    assert both["first"]["score"] == why["score"]
    assert both["first"]["molecule"]["id"] == first
    assert [word["text"] for word in both["words"]] == text.split()
    assert any(word["favours"] != "neither" for word in both["words"])
