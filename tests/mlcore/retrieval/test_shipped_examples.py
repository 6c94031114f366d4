"""The worked examples of the start page, and of the README's first sentence, on what is shipped."""

from __future__ import annotations

import re

import pytest
from rdkit import Chem

from mlcore.retrieval.search import SearchRequest
from tests.mlcore.retrieval import shipped
from webapp.search.examples import EXAMPLES, Example


def skeleton(smiles: str) -> str:
    """The first block of the InChIKey: the molecule without its stereochemistry."""
    return Chem.MolToInchiKey(Chem.MolFromSmiles(smiles)).split("-")[0]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.text)
def test_an_example_finds_what_it_says(example: Example) -> None:
    answer = shipped.searcher().search(SearchRequest(example.text, k=10))
    assert answer["verdict"]["level"] == "found"
    found = [hit["molecule"] for hit in answer["hits"]]
    kind = answer["query"]["kind"]
    places = [
        place for place, each in enumerate(found) if skeleton(each["smiles"]) == skeleton(example.smiles)
    ]
    assert places, (kind, [each["name"] for each in found])
    if kind != "formula":
        assert places[0] == 0, [each["name"] for each in found]
        assert example.answer in found[0]["name"]


def test_the_first_sentence_of_the_readme_is_true() -> None:
    text = (shipped.ROOT / "README.md").read_text(encoding="utf-8")
    said = re.search(r'"([^"]+)"\s+leads\s+to\s+([^,]+),', text)
    assert said
    assert shipped.found(said[1], 1) == [said[2]]
