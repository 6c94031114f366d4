"""Motifs: the cases that the method names, and that they cover the molecule."""

import pytest
from rdkit import Chem

from mlcore.retrieval.motif_names import name_motifs
from mlcore.retrieval.motifs import motifs, motifs_or_whole

MANY = [
    "CC(=O)Oc1ccccc1C(=O)O",
    "CN1C=NC2=C1C(=O)N(C(=O)N2C)C",
    "CC(C)Cc1ccc(cc1)C(C)C(=O)O",
    "OCC1OC(O)C(O)C(O)C1O",
]


def groups(smiles: str) -> list[tuple[int, ...]]:
    return motifs(Chem.MolFromSmiles(smiles))


def test_benzene_has_none() -> None:
    assert groups("c1ccccc1") == []
    assert motifs_or_whole(Chem.MolFromSmiles("c1ccccc1")) == [(0, 1, 2, 3, 4, 5)]


def test_biphenyl_has_two_of_six() -> None:
    assert [len(group) for group in groups("c1ccccc1-c1ccccc1")] == [6, 6]


def test_fused_rings_share_their_bond() -> None:
    first, second = groups("c1ccc2ccccc2c1")
    assert len(set(first) & set(second)) == 2


@pytest.mark.parametrize("smiles", MANY)
def test_motifs_cover_the_molecule(smiles: str) -> None:
    mol = Chem.MolFromSmiles(smiles)
    covered = set().union(*motifs_or_whole(mol))
    assert covered == set(range(mol.GetNumAtoms()))


def test_names_are_a_chemists() -> None:
    mol = Chem.MolFromSmiles("CC(=O)Oc1ccccc1C(=O)O")
    labels = [str(motif["label"]) for motif in name_motifs(mol, motifs(mol))]
    assert "benzene ring" in labels
    assert "carboxylic acid" in labels
    assert len(set(labels)) == len(labels)
