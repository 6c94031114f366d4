"""A model folder: what is written is what is read, damage is named, scores do not depend on company."""

import json
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem

from mlcore.retrieval.encoding import directions
from mlcore.retrieval.evaluate import rerank_texts, take
from mlcore.retrieval.model import RetrievalModel, concatenate, save_model
from mlcore.runtime.errors import ModelError
from tests.mlcore.retrieval.networks import network, save_small, tokenizer_json

TEXTS = ["an alcohol", "the molecule is an ester that smells of roses", "sweet amine"]
SMILES = ["CCO", "CC(=O)OCC", "c1ccccc1-c1ccccc1", "C[C@H](N)C(=O)O"]


def molecules() -> list[Chem.Mol]:
    return [Chem.MolFromSmiles(smiles) for smiles in SMILES]


def test_vectors_are_unit_and_shares_sum_to_one(small_model: RetrievalModel) -> None:
    text, drawn = small_model.encode_texts(TEXTS), small_model.encode_molecules(molecules())
    assert np.allclose(np.linalg.norm(text.sentence, axis=1), 1, atol=1e-5)
    assert np.allclose(np.linalg.norm(drawn.vectors, axis=1), 1, atol=1e-5)
    assert np.allclose(np.linalg.norm(text.tokens, axis=2).sum(1), 1, atol=1e-4)
    assert np.allclose(np.linalg.norm(text.phrases, axis=2).sum(1), 1, atol=1e-4)
    for first, last in zip(drawn.motif_offsets[:-1], drawn.motif_offsets[1:], strict=True):
        assert np.linalg.norm(drawn.motifs[first:last], axis=1).sum() == pytest.approx(1, abs=1e-4)
    assert np.diff(drawn.atom_offsets).tolist() == [mol.GetNumAtoms() for mol in molecules()]
    assert np.allclose(np.linalg.norm(directions(drawn.atoms), axis=1), 1, atol=1e-5)


def test_reranking_does_not_depend_on_the_shortlist(small_model: RetrievalModel) -> None:
    text, drawn = small_model.encode_texts(TEXTS), small_model.encode_molecules(molecules())
    for row in range(len(TEXTS)):
        together = small_model.rerank(text, row, drawn)
        for i in range(len(SMILES)):
            alone = small_model.rerank(small_model.encode_texts([TEXTS[row]]), 0, take(drawn, np.array([i])))
            assert alone.total[0] == pytest.approx(float(together.total[i]), abs=2e-3)
            backwards = rerank_texts(
                small_model, text, np.array([row, (row + 1) % 3]), take(drawn, np.array([i]))
            )
            assert backwards[0] == pytest.approx(float(together.total[i]), abs=2e-3)


def test_encodings_joined_and_taken_apart(small_model: RetrievalModel) -> None:
    whole = small_model.encode_molecules(molecules())
    halves = [small_model.encode_molecules(molecules()[:2]), small_model.encode_molecules(molecules()[2:])]
    joined = concatenate(halves)
    assert np.array_equal(joined.motif_offsets, whole.motif_offsets)
    assert np.allclose(joined.atoms, whole.atoms, atol=1e-5)
    assert len(small_model.encode_molecules([])) == 0


def test_what_is_written_is_nearly_what_is_read(tmp_path: Path) -> None:
    """int8 weights move the vectors by little."""
    model = save_small(tmp_path)
    exact = network()
    batch, _ = model.tokenizer(TEXTS)
    difference = (
        exact.encode_texts(batch).sentence.detach().numpy() * model.encode_texts(TEXTS).sentence
    ).sum(1)
    assert difference.min() > 0.999


def test_empty_and_huge_texts_are_encoded(small_model: RetrievalModel) -> None:
    encoded = small_model.encode_texts(["", "acid " * 5000, "مرحبا 🌹"])
    assert np.isfinite(encoded.sentence).all()
    assert encoded.mask.sum(1).max() <= small_model.network.config.tokens


@pytest.mark.parametrize("damage", ["missing", "changed", "misfit", "half a card"])
def test_damage_is_refused(tmp_path: Path, damage: str) -> None:
    save_small(tmp_path)
    weights = next(tmp_path.glob("model*.safetensors"))
    if damage == "missing":
        (tmp_path / "card.json").unlink()
    elif damage == "changed":
        weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    elif damage == "misfit":
        described = json.loads((tmp_path / "config.json").read_text())
        (tmp_path / "config.json").write_text(json.dumps(described | {"dim": 64}))
    else:
        (tmp_path / "card.json").write_text('{"sha256": "')
    with pytest.raises(ModelError):
        RetrievalModel.load(tmp_path)


def test_a_second_save_replaces_the_first(tmp_path: Path) -> None:
    first = save_model(network(seed=1), tokenizer_json(), tmp_path)
    second = save_model(network(seed=2), tokenizer_json(), tmp_path)
    assert first != second
    assert RetrievalModel.load(tmp_path).fingerprint == second
