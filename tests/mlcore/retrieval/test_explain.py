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
    masses = [link["mass"] for link in found["links"]]
    assert masses == sorted(masses, reverse=True)
    assert found["links"][0]["mass"] == pytest.approx(plan.max(), abs=1e-5)


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
