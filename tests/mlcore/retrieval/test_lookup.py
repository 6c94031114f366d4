"""A list at once: every item is accounted for."""

from __future__ import annotations

import json

import pytest

from mlcore.retrieval.lookup import MOST_ITEMS, lookup
from mlcore.runtime.errors import InputError, LimitError
from tests.mlcore.retrieval import small


def one(text: str) -> dict:
    return lookup([text], small.searcher())["items"][0]


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("aspirin", "name", "aspirin"), ("acetyl-salicylic acid", "name", "aspirin"), ("OCC", "smiles", "ethanol"),
        ("C9H8O4", "formula", "aspirin"), ("BSYNRYMUTXBXSQ-UHFFFAOYSA-N", "inchikey", "aspirin"),
        ("InChI=1S/CH4/h1H4", "inchi", "methane"), ("103-90-2", "cas", "paracetamol"), ("M003", "id", "ibuprofen"),
    ],
)  # fmt: skip
def test_found(text: str, kind: str, name: str) -> None:
    item = one(text)
    assert (item["status"], item["kind"]) == ("found", kind)
    assert [match["molecule"]["name"] for match in item["matches"]] == [name]


@pytest.mark.parametrize(
    ("text", "note", "matches"),
    [
        ("C2H6O", "2 molecules fit", 2), ("asprin", "perhaps aspirin", 1), ("limonene", "another stereo prefix", 2),
        ("OC(=O)C(N)C", "other or unstated stereo", 2), ("QNAYBMKLOCPYGJ", "2 molecules fit", 2),
        ("[Na+].[O-]C(=O)CN", "salt, charge or solvate", 1),
    ],
)  # fmt: skip
def test_ambiguous_says_why(text: str, note: str, matches: int) -> None:
    item = one(text)
    assert item["status"] == "ambiguous"
    assert note in item["note"]
    assert len(item["matches"]) == item["total"] == matches


@pytest.mark.parametrize(
    ("text", "status"),
    [("zolpidem", "not found"), ("c1ccc2ccccc2c1", "not found"), ("C99H99", "not found"), ("[CX4]", "not found"),
     ("50-00-0", "not found"), ("C1CC", "unreadable"), ("", "unreadable"), ("a\x00" * 20_000, "unreadable")],
)  # fmt: skip
def test_the_rest_is_told_apart(text: str, status: str) -> None:
    item = one(text)
    assert item["status"] == status
    assert item["note"]
    assert item["matches"] == []


def test_counts_close_and_order_is_kept() -> None:
    texts = ["aspirin", "asprin", "nobody", "C1CC", "aspirin", "CCO"]
    found = lookup(texts, small.searcher())
    assert json.loads(json.dumps(found)) == found
    assert [item["text"] for item in found["items"]] == texts
    assert [item["index"] for item in found["items"]] == list(range(6))
    assert found["counts"] == {"items": 6, "found": 3, "ambiguous": 1, "not found": 1, "unreadable": 1}


def test_limits() -> None:
    with pytest.raises(InputError, match="empty"):
        lookup([], small.searcher())
    with pytest.raises(LimitError, match="limit"):
        lookup(["x"] * (MOST_ITEMS + 1), small.searcher())
    with pytest.raises(InputError, match="no library"):
        lookup(["x"], small.searcher(), libraries=["nowhere"])
