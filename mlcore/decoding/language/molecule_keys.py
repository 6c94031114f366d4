"""What a molecule is known by; a module of its own, so that a worker process starts without a tensor library."""

from __future__ import annotations

from rdkit import Chem, rdBase


def key_and_canonical(smiles: str) -> tuple[str, str] | None:
    """InChIKey and RDKit's own SMILES of a molecule; nothing where RDKit refuses it."""
    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(smiles)
        if mol is None or not mol.GetNumAtoms():
            return None
        return Chem.MolToInchiKey(mol), Chem.MolToSmiles(mol)
