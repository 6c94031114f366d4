"""What counts as the same molecule: the compound, its parent, a tautomer; with stereo and without."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcore.retrieval.sameness import SAMES
from mlcore.retrieval.search import Searcher, SearchRequest
from mlcore.runtime.errors import InputError
from tests.mlcore.retrieval import small

FAMILY = [
    ("alanine L", "C[C@H](N)C(=O)O"),
    ("alanine D", "C[C@@H](N)C(=O)O"),
    ("alanine L hydrochloride", "C[C@H](N)C(=O)O.Cl"),
    ("alanine D sodium", "C[C@@H](N)C(=O)[O-].[Na+]"),
    ("acetone", "CC(C)=O"),
    ("propen-2-ol", "CC(O)=C"),
    ("acetic acid", "CC(=O)O"),
    ("acetate", "CC(=O)[O-]"),
    ("sodium acetate", "CC(=O)[O-].[Na+]"),
    ("benzene", "c1ccccc1"),
]
SMILES = dict(FAMILY)


@cache
def searcher() -> Searcher:
    rows = [(name, "", smiles, "", "") for name, smiles in FAMILY]
    return Searcher(small.model(), {"family": small.made_library("family", rows)})


def search(text: str, **options: object) -> dict:
    return searcher().search(SearchRequest(text, **options))


def found(text: str, **options: object) -> dict[str, str]:
    """Names and how they matched."""
    hits = search(text, **options)["hits"]
    return {hit["molecule"]["name"]: hit["matched"]["how"] for hit in hits}


@pytest.mark.parametrize(
    ("asked", "same", "stereo", "names"),
    [
        ("alanine L", "compound", "respect", {"alanine L"}),
        ("alanine L", "compound", "ignore", {"alanine L", "alanine D"}),
        ("alanine L", "parent", "respect", {"alanine L", "alanine L hydrochloride"}),
        ("alanine L", "parent", "ignore", {name for name in SMILES if name.startswith("alanine")}),
        ("alanine D sodium", "parent", "respect", {"alanine D", "alanine D sodium"}),
        ("acetone", "compound", "respect", {"acetone"}),
        ("acetone", "parent", "respect", {"acetone"}),
        ("acetone", "tautomer", "respect", {"acetone", "propen-2-ol"}),
        ("acetate", "compound", "respect", {"acetate"}),
        ("acetate", "compound", "ignore", {"acetate"}),
        ("acetate", "parent", "respect", {"acetate", "acetic acid", "sodium acetate"}),
        ("sodium acetate", "tautomer", "ignore", {"acetate", "acetic acid", "sodium acetate"}),
    ],
)
def test_exactly_what_counts_is_found(asked: str, same: str, stereo: str, names: set[str]) -> None:
    answer = found(SMILES[asked], mode="exact", same=same, stereo=stereo)
    assert set(answer) == names
    assert answer[asked] == "exact"
    assert next(iter(answer)) == asked


def test_each_hit_says_how_it_is_the_same() -> None:
    assert found(SMILES["acetate"], mode="exact", same="tautomer") == {
        "acetate": "exact",
        "acetic acid": "same parent",
        "sodium acetate": "same parent",
    }
    assert found(SMILES["acetone"], mode="exact", same="tautomer")["propen-2-ol"] == "tautomer"
    answer = search(SMILES["alanine L"], same="parent")
    assert answer["notes"][:2] == [
        "1 exact match.",
        "1 hit is another salt, charge or solvate of the same parent.",
    ]
    hows = [hit["matched"]["how"] for hit in answer["hits"]][:3]
    assert hows == ["exact", "same parent", "stereo differs"]


def test_a_salt_counts_where_parents_do_and_the_verdict_says_so() -> None:
    salt = "CC(=O)[O-].[K+]"
    assert search(salt)["verdict"]["level"] == "doubtful"
    assert search(salt, same="parent")["verdict"] == {"level": "found", "text": "Found by its structure."}
    nothing = search("CCCCCCCC", mode="exact", same="parent")
    assert nothing["verdict"]["level"] == "absent"
    assert "another salt" in nothing["verdict"]["text"]


@pytest.mark.parametrize("name", list(SMILES))
@pytest.mark.parametrize("same", SAMES)
def test_a_key_finds_what_its_structure_finds(name: str, same: str) -> None:
    structure = search(SMILES[name], mode="exact", same=same)
    key = structure["query"]["inchikey"]
    by_key = {n: how for n, how in found(key, same=same).items() if how != "stereo differs"}
    wanted = {hit["molecule"]["name"]: hit["matched"]["how"] for hit in structure["hits"]}
    assert wanted.items() <= by_key.items()


def test_a_first_block_reaches_salts_of_every_stereo_form() -> None:
    names = set(found("QNAYBMKLOCPYGJ", same="parent"))
    assert names == {name for name in SMILES if name.startswith("alanine")}


@given(st.sampled_from(FAMILY), st.sampled_from(["respect", "ignore"]), st.booleans())
@settings(max_examples=40, deadline=None)
def test_each_choice_includes_the_narrower_one(asked: tuple[str, str], stereo: str, auto: bool) -> None:
    mode = "auto" if auto else "exact"
    sets = [
        {
            name
            for name, how in found(asked[1], mode=mode, same=same, stereo=stereo).items()
            if how in ("exact", "same parent", "tautomer")
        }
        for same in SAMES
    ]
    assert sets[0] <= sets[1] <= sets[2]


@pytest.mark.parametrize("name", list(SMILES))
@pytest.mark.parametrize("same", SAMES)
def test_sameness_is_mutual(name: str, same: str) -> None:
    for other in found(SMILES[name], mode="exact", same=same):
        assert name in found(SMILES[other], mode="exact", same=same)


def test_an_unknown_choice_is_refused() -> None:
    with pytest.raises(InputError, match="no choice for same") as caught:
        search("CCO", same="family")
    assert caught.value.field == "same"
