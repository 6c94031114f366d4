"""A predicted SMILES beside the true one: valid, the same molecule, how similar.

As MolT5 (Edwards et al. 2022) compares them, without four quirks of RDKit that would count in a model's favour: the
empty string is no molecule, nothing may follow the SMILES (RDKit takes words behind a blank for a name), a SMILES is
ASCII (RDKit reads ``CCé``), and two molecules for which InChI has no answer (an attachment point ``*``) are not the
same for that.
"""

from __future__ import annotations

from typing import NamedTuple

from rdkit import Chem, DataStructs, rdBase
from rdkit.Chem import rdFingerprintGenerator
from rdkit.Chem.rdMolDescriptors import GetMACCSKeysFingerprint

_MORGAN = rdFingerprintGenerator.GetMorganGenerator(radius=2)


class Comparison(NamedTuple):
    """What is known of one pair; similarities are Tanimoto coefficients in [0, 1], 0 unless RDKit reads both."""

    valid: bool  # RDKit reads the prediction
    known: bool  # RDKit reads the truth
    exact: bool  # equal standard InChI; equal canonical SMILES where InChI has no answer
    canonical: bool  # equal canonical isomeric SMILES: tautomers differ
    maccs: float = 0.0
    rdk: float = 0.0
    morgan: float = 0.0


def parse(smiles: str) -> Chem.Mol | None:
    """The molecule, or None where ``smiles`` is not the SMILES of one molecule record with at least one atom."""
    if not smiles.isascii() or smiles.split() != [smiles]:
        return None
    mol = Chem.MolFromSmiles(smiles)
    return mol if mol is not None and mol.GetNumAtoms() else None


def same(first: Chem.Mol, second: Chem.Mol) -> bool:
    """Whether both have the same standard InChI; by canonical SMILES where InChI has no answer for one of them."""
    if first.GetNumHeavyAtoms() != second.GetNumHeavyAtoms():
        return False  # no InChI is equal then, and large ones take seconds
    inchis = Chem.MolToInchi(first), Chem.MolToInchi(second)
    if all(inchis):
        return inchis[0] == inchis[1]
    return Chem.MolToSmiles(first) == Chem.MolToSmiles(second)


def compare(predicted: str, true: str) -> Comparison:
    """Compare two SMILES.

    Tanimoto of MACCS keys and of RDKit's path fingerprint over bits, of Morgan's radius 2 over counts. RDKit gives
    0 for two path fingerprints without a bit, so a lone atom has ``rdk`` 0 with itself, as in the published figures.
    """
    with rdBase.BlockLogs():
        mine, truth = parse(predicted), parse(true)
        if mine is None or truth is None:
            return Comparison(mine is not None, truth is not None, exact=False, canonical=False)
        return Comparison(
            valid=True,
            known=True,
            exact=same(mine, truth),
            canonical=Chem.MolToSmiles(mine) == Chem.MolToSmiles(truth),
            maccs=DataStructs.TanimotoSimilarity(
                GetMACCSKeysFingerprint(mine), GetMACCSKeysFingerprint(truth)
            ),
            rdk=DataStructs.TanimotoSimilarity(Chem.RDKFingerprint(mine), Chem.RDKFingerprint(truth)),
            morgan=DataStructs.TanimotoSimilarity(
                _MORGAN.GetSparseCountFingerprint(mine), _MORGAN.GetSparseCountFingerprint(truth)
            ),
        )
