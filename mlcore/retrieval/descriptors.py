"""What is computed of every molecule of a library: masses, properties, fingerprints, keys."""

from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np
from rdkit import Chem, DataStructs
from rdkit.Chem import rdFingerprintGenerator, rdMolDescriptors, rdMolHash

FINGERPRINT_BITS = 2048
_MORGAN = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=FINGERPRINT_BITS, includeChirality=False)


def properties(mol: Chem.Mol) -> tuple[float, float, int, int, int, int, int, int, int]:
    """The values of :data:`mlcore.retrieval.rows.PROPERTIES`, in order.

    Crippen logP, TPSA (square angstrom), donors, acceptors, rings, charge, stereo centres (assigned or not),
    heavy atoms, rotatable bonds.
    """
    logp, _ = rdMolDescriptors.CalcCrippenDescriptors(mol)
    centres = sum(
        element.type == Chem.StereoType.Atom_Tetrahedral
        for element in Chem.FindPotentialStereo(mol, cleanIt=False)
    )
    return (
        round(logp, 4),
        round(rdMolDescriptors.CalcTPSA(mol), 4),
        rdMolDescriptors.CalcNumHBD(mol),
        rdMolDescriptors.CalcNumHBA(mol),
        rdMolDescriptors.CalcNumRings(mol),
        Chem.GetFormalCharge(mol),
        centres,
        mol.GetNumHeavyAtoms(),
        rdMolDescriptors.CalcNumRotatableBonds(mol),
    )


def elements(mol: Chem.Mol) -> dict[str, int]:
    """Atoms of each element, hydrogens included; dummy atoms as ``*``."""
    counts: Counter[str] = Counter()
    hydrogens = 0
    for atom in mol.GetAtoms():
        counts[atom.GetSymbol()] += 1
        hydrogens += atom.GetTotalNumHs()
    if hydrogens:
        counts["H"] += hydrogens
    return dict(counts)


def morgan_bits(mol: Chem.Mol) -> np.ndarray:
    """Morgan fingerprint, radius 2, 2048 bits, without chirality: (256,) uint8, bit i = bit i % 8 of byte i
    // 8.
    """
    return packed(_MORGAN.GetFingerprint(mol))


def pattern_bits(mol: Chem.Mol) -> np.ndarray:
    """RDKit's pattern fingerprint, 2048 bits, packed like :func:`morgan_bits`.

    Every bit of a substructure is also set in each molecule that contains it: the screen before a match.
    """
    return packed(Chem.PatternFingerprint(mol, fpSize=FINGERPRINT_BITS))


def packed(bits: DataStructs.ExplicitBitVect) -> np.ndarray:
    """A bit vector as (bits / 8,) uint8, least significant bit first."""
    return np.frombuffer(DataStructs.BitVectToBinaryText(bits), dtype=np.uint8)


def identity(mol: Chem.Mol, inchi: str, inchikey: str, canonical: str) -> str:
    """The key under which two records are the same molecule *as uploaded*.

    The full InChIKey, made with fixed hydrogens where those matter: the standard InChIKey does not tell
    tautomers and zwitterions apart, which a library keeps as separate rows. Without an InChI (dummy atoms),
    the canonical SMILES.
    """
    if not inchikey:
        return f"smiles:{canonical}"
    if "(H" not in inchi and not any(atom.GetFormalCharge() for atom in mol.GetAtoms()):
        return inchikey
    fixed = Chem.MolToInchi(mol, options="/FixedH")
    return Chem.InchiToInchiKey(fixed) if "/f" in fixed else inchikey


def tautomer_key(mol: Chem.Mol) -> str:
    """A key that the tautomers of one skeleton share (a digest of RDKit's HetAtomTautomerv2 hash)."""
    text = rdMolHash.MolHash(Chem.RWMol(mol), rdMolHash.HashFunction.HetAtomTautomerv2)
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
