"""Features and the graph: order of atoms, stereo, packing."""

from pathlib import Path

import numpy as np
import torch
from rdkit import Chem

from mlcore.retrieval.fingerprints import COUNTS, HASHED, WIDTH, exact_counts, fingerprint
from mlcore.retrieval.graphs import PackedMolecules, featurise, ragged_rows
from mlcore.retrieval.molecules import GraphBatch
from tests.mlcore.retrieval.networks import network

SMILES = [
    "CCO",
    "C[C@H](N)C(=O)O",
    "C[C@@H](N)C(=O)O",
    r"C/C=C/C",
    r"C/C=C\C",
    "[Na+].[Cl-]",
    "c1ccccc1-c1ccccc1",
]


def made(smiles: str) -> Chem.Mol:
    return Chem.MolFromSmiles(smiles)


def packed(smiles: list[str]) -> PackedMolecules:
    return PackedMolecules.pack([featurise(made(each)) for each in smiles])


def test_exact_counts_of_ethanol_and_a_salt() -> None:
    names = [name for name, _ in COUNTS]
    ethanol = dict(zip(names, exact_counts(made("CCO")), strict=True))
    assert (ethanol["C"], ethanol["H"], ethanol["O"], ethanol["rings"], ethanol["longest chain"]) == (
        2,
        6,
        1,
        0,
        2,
    )
    salt = dict(zip(names, exact_counts(made("[Na+].[Cl-]")), strict=True))
    assert (salt["positive"], salt["negative"], salt["fragments"], salt["other"]) == (1, 1, 2, 1)


def test_fingerprint_columns_fit() -> None:
    for smiles in SMILES:
        columns, values = fingerprint(made(smiles))
        assert len(columns) == len(set(columns.tolist())) == len(values)
        assert columns.min() >= 0
        assert columns.max() < WIDTH
        assert (values > 0).all()
    assert HASHED < WIDTH


def test_mirror_images_and_double_bonds_differ() -> None:
    model = network().molecule
    with torch.no_grad():
        vectors = model(GraphBatch.build(packed(SMILES))).vectors
    alanine, alkene = (vectors[1] - vectors[2]).norm(), (vectors[3] - vectors[4]).norm()
    assert alanine > 1e-3
    assert alkene > 1e-3


def test_taking_is_packing_in_another_order(tmp_path: Path) -> None:
    order = np.array([4, 0, 6, 6, 2])
    taken, again = packed(SMILES).take(order), packed([SMILES[i] for i in order])
    for name, values in again.parts.items():
        assert np.array_equal(taken.parts[name], values)
        assert np.array_equal(taken.offsets[name], again.offsets[name])
    taken.save(tmp_path / "p.npz")
    loaded = PackedMolecules.load(tmp_path / "p.npz")
    assert all(np.array_equal(loaded.parts[name], taken.parts[name]) for name in taken.parts)


def test_ragged_rows() -> None:
    assert ragged_rows(np.array([5, 0, 9]), np.array([7, 0, 10])).tolist() == [5, 6, 9]


def test_encoding_does_not_depend_on_the_batch() -> None:
    model = network().molecule
    with torch.no_grad():
        together = model(GraphBatch.build(packed(SMILES)))
        alone = [model(GraphBatch.build(packed([smiles]))) for smiles in SMILES]
    assert torch.cat([each.vectors for each in alone]).allclose(together.vectors, atol=1e-5)
    assert torch.cat([each.motifs for each in alone]).allclose(together.motifs, atol=1e-5)
    assert torch.cat([each.atoms for each in alone]).allclose(together.atoms, atol=1e-5)


def test_atoms_hear_from_far_away() -> None:
    """Edges run both ways: an atom's vector changes when the other end of the molecule does."""
    model = network().molecule
    with torch.no_grad():
        ends = [model(GraphBatch.build(packed(["CCCCCCCCC" + end]))).atoms[0] for end in ("O", "N")]
    assert (ends[0] - ends[1]).norm() > 1e-4
