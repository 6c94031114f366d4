"""Explanations: the plan is one, the atoms are those of the SMILES, two hits are compared by word."""

import numpy as np
import pytest

from mlcore.retrieval.explain import compare, explain
from mlcore.retrieval.model import RetrievalModel
from mlcore.retrieval.rows import MoleculeRow
from mlcore.runtime.errors import InputError

TEXT = "an ester of a phenol, and an acid"


def row(name: str, smiles: str) -> MoleculeRow:
    fields = dict.fromkeys(MoleculeRow.__dataclass_fields__, "")
    numbers = {
        "weight": 0.0,
        "exact_mass": 0.0,
        "descriptions": (),
        "synonyms": (),
        "properties": {},
        "standardisation": (),
    }
    return MoleculeRow(**{**fields, **numbers, "id": name, "name": name, "smiles": smiles})  # type: ignore[arg-type]


ASPIRIN, ETHANOL = row("aspirin", "CC(=O)Oc1ccccc1C(=O)O"), row("ethanol", "CCO")


def test_explanation_adds_up(small_model: RetrievalModel) -> None:
    found = explain(small_model, TEXT, ASPIRIN)
    plan = np.array(found["plan"])
    assert plan.shape == (len(found["words"]), len(found["motifs"]))
    assert plan.sum() == pytest.approx(1, abs=1e-4)
    assert [TEXT[word["start"] : word["end"]] for word in found["words"]] == [
        word["text"] for word in found["words"]
    ]
    assert np.array(found["atom_scores"]).shape == (len(found["words"]), 13)
    assert 0 <= np.min(found["atom_scores"]) <= np.max(found["atom_scores"]) <= 1
    for link in found["links"]:
        assert link["mass"] == pytest.approx(plan[link["word"], link["motif"]], abs=1e-5)
        assert abs(link["pull"]) <= link["mass"] + 1e-5


def test_links_are_ordered_by_pull_and_end_with_little_words(small_model: RetrievalModel) -> None:
    found = explain(small_model, TEXT, ASPIRIN)
    telling = {word["index"]: word["telling"] for word in found["words"]}
    assert {word["text"] for word in found["words"] if word["telling"]} == {"ester", "phenol", "acid"}
    kinds = [telling[link["word"]] for link in found["links"]]
    assert kinds == sorted(kinds, reverse=True)
    for kind in (True, False):
        pulls = [link["pull"] for link in found["links"] if telling[link["word"]] is kind]
        assert pulls == sorted(pulls, reverse=True)


def test_pulls_of_one_motif_are_the_cosines_of_the_transported_words(small_model: RetrievalModel) -> None:
    """With a single motif all mass goes there, so the pulls add up to the mean cosine of the words' pieces."""
    import torch
    from rdkit import Chem

    from mlcore.retrieval.model import molecule_side, text_side

    methane = row("methane", "C")
    encoding = small_model.encode_texts([TEXT])
    side = text_side(encoding, 0)
    other = molecule_side(small_model.encode_molecules([Chem.MolFromSmiles("C")]), np.array([0]))
    found = explain(small_model, TEXT, methane)
    assert len(found["motifs"]) == 1
    cosines = torch.einsum("td,kd->tk", side.phrases[0], other.motifs[0])[:, 0].numpy()
    for link in found["links"]:
        word = found["words"][link["word"]]
        inside = [
            i for i, (a, b) in enumerate(encoding.spans[0]) if a < b and a < word["end"] and b > word["start"]
        ]
        ratio = link["pull"] / link["mass"]
        assert cosines[inside].min() - 1e-3 <= ratio <= cosines[inside].max() + 1e-3


def test_parts_are_those_of_the_search(small_model: RetrievalModel) -> None:
    from rdkit import Chem

    encoded = small_model.encode_texts([TEXT])
    scores = small_model.rerank(
        encoded, 0, small_model.encode_molecules([Chem.MolFromSmiles(ASPIRIN.smiles)])
    )
    assert explain(small_model, TEXT, ASPIRIN)["score"]["total"] == pytest.approx(
        float(scores.total[0]), abs=1e-3
    )


def test_comparison_is_the_mirror_of_itself(small_model: RetrievalModel) -> None:
    one, two = compare(small_model, TEXT, ASPIRIN, ETHANOL), compare(small_model, TEXT, ETHANOL, ASPIRIN)
    assert one["first"] == two["second"]
    assert [(w["first"], w["second"]) for w in one["words"]] == [
        (w["second"], w["first"]) for w in two["words"]
    ]
    better = max((ASPIRIN, ETHANOL), key=lambda r: explain(small_model, TEXT, r)["score"]["total"])
    assert one["sentence"].startswith(f"{better.name} fits better")
    assert one["sentence"] == two["sentence"]


def test_a_text_without_words_is_refused(small_model: RetrievalModel) -> None:
    with pytest.raises(InputError):
        explain(small_model, "…", ASPIRIN)
