"""The atom-motif-molecule graph of a molecule, and many of them packed for training and encoding.

Three kinds of nodes (atoms, motifs, one molecule node) and edges in both directions between neighbouring levels
and along every bond, so that an atom hears from its motif and from the whole. Stereochemistry is in the atom
features (CIP label, chiral tag) and in the bond categories (E/Z).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rdkit import Chem

from mlcore.retrieval.fingerprints import fingerprint
from mlcore.retrieval.motifs import motifs_or_whole

_ELEMENTS = {
    number: slot
    for slot, number in enumerate(
        [6, 7, 8, 1, 15, 16, 9, 17, 35, 53, 5, 14, 34, 33, 11, 19, 3, 12, 20, 26, 27, 28, 29, 30, 25, 24, 13, 50, 80,
         82, 78, 79, 47, 42, 52, 22, 23, 51, 83, 64, 56, 55]
    )
}  # fmt: skip
_HYBRID = {
    kind: slot
    for slot, kind in enumerate(
        [
            Chem.HybridizationType.S,
            Chem.HybridizationType.SP,
            Chem.HybridizationType.SP2,
            Chem.HybridizationType.SP3,
        ]
    )
}
_TAGS = {Chem.ChiralType.CHI_TETRAHEDRAL_CW: 1, Chem.ChiralType.CHI_TETRAHEDRAL_CCW: 2}
_CIP = {"R": 1, "S": 2, "r": 1, "s": 2}
#: how many values each categorical atom feature takes
ATOM_SIZES = (len(_ELEMENTS) + 1, 7, 9, 5, 5, 2, 4, 8, 4, 3, 2, 2)
_ATOM_STARTS = np.cumsum((0, *ATOM_SIZES[:-1]))
ATOM_VALUES = sum(ATOM_SIZES)
_TYPES = {
    kind: slot
    for slot, kind in enumerate(
        [Chem.BondType.SINGLE, Chem.BondType.DOUBLE, Chem.BondType.TRIPLE, Chem.BondType.AROMATIC]
    )
}
_STEREO = {
    Chem.BondStereo.STEREONONE: 0, Chem.BondStereo.STEREOE: 1, Chem.BondStereo.STEREOTRANS: 1,
    Chem.BondStereo.STEREOZ: 2, Chem.BondStereo.STEREOCIS: 2,
}  # fmt: skip
BOND_VALUES = 5 * 4 * 2 * 2
#: edge categories after the bonds: the four directions between levels
ATOM_TO_MOTIF, MOTIF_TO_ATOM, MOTIF_TO_MOLECULE, MOLECULE_TO_MOTIF = range(BOND_VALUES, BOND_VALUES + 4)
EDGE_VALUES = BOND_VALUES + 4
MOTIF_SIZES = 32


@dataclass(frozen=True)
class MoleculeFeatures:
    """One featurised molecule; node numbers count within the molecule's atoms and motifs."""

    atoms: np.ndarray  # (atoms, 12) int16, each column offset into one table of ATOM_VALUES rows
    bonds: np.ndarray  # (bonds, 3) int16: begin, end, category
    members: np.ndarray  # (memberships, 2) int16: atom, motif
    motifs: np.ndarray  # (motifs,) int16: size of the motif, clipped
    columns: np.ndarray  # (non-zero,) int16 fingerprint columns
    values: np.ndarray  # (non-zero,) float16


def featurise(mol: Chem.Mol) -> MoleculeFeatures:
    """Features of one sanitised molecule with at least one atom, in RDKit's atom order."""
    rings = mol.GetRingInfo()
    atoms = np.empty((mol.GetNumAtoms(), len(ATOM_SIZES)), dtype=np.int16)
    for row, atom in enumerate(mol.GetAtoms()):
        count = rings.NumAtomRings(row)
        size = min(rings.MinAtomRingSize(row), 9) if count else 0
        cip = _CIP.get(atom.GetProp("_CIPCode"), 3) if atom.HasProp("_CIPCode") else 0
        if not cip and atom.HasProp("_ChiralityPossible"):
            cip = 3
        atoms[row] = (
            _ELEMENTS.get(atom.GetAtomicNum(), len(_ELEMENTS)),
            min(atom.GetDegree(), 6),
            min(max(atom.GetFormalCharge(), -4), 4) + 4,
            min(atom.GetTotalNumHs(), 4),
            _HYBRID.get(atom.GetHybridization(), 4),
            atom.GetIsAromatic(),
            min(count, 3),
            max(size - 2, 0),
            cip,
            _TAGS.get(atom.GetChiralTag(), 0),
            atom.GetIsotope() != 0,
            atom.GetNumRadicalElectrons() != 0,
        )
    atoms += _ATOM_STARTS.astype(np.int16)
    bonds = [
        (
            bond.GetBeginAtomIdx(),
            bond.GetEndAtomIdx(),
            (
                (_TYPES.get(bond.GetBondType(), 4) * 4 + _STEREO.get(bond.GetStereo(), 3)) * 2
                + bond.GetIsConjugated()
            )
            * 2
            + bond.IsInRing(),
        )
        for bond in mol.GetBonds()
    ]
    groups = motifs_or_whole(mol)
    members = [(atom, motif) for motif, group in enumerate(groups) for atom in group]
    columns, values = fingerprint(mol)
    return MoleculeFeatures(
        atoms=atoms,
        bonds=np.array(bonds, dtype=np.int16).reshape(-1, 3),
        members=np.array(members, dtype=np.int16).reshape(-1, 2),
        motifs=np.array([min(len(group), MOTIF_SIZES - 1) for group in groups], dtype=np.int16),
        columns=columns.astype(np.int16),
        values=values.astype(np.float16),
    )


_PARTS = ("atoms", "bonds", "members", "motifs", "columns", "values")


@dataclass(frozen=True)
class PackedMolecules:
    """Many featurised molecules, each part one after the other with offsets."""

    parts: dict[str, np.ndarray]
    offsets: dict[str, np.ndarray]  # (n + 1,) int64 each

    def __len__(self) -> int:
        return len(self.offsets["atoms"]) - 1

    @classmethod
    def pack(cls, molecules: Sequence[MoleculeFeatures]) -> PackedMolecules:
        parts, offsets = {}, {}
        for name in _PARTS:
            arrays = [getattr(molecule, name) for molecule in molecules]
            parts[name] = np.concatenate(arrays)
            offsets[name] = np.cumsum([0, *(len(array) for array in arrays)])
        return cls(parts, offsets)

    def take(self, indices: np.ndarray) -> PackedMolecules:
        """The chosen molecules, in the order given."""
        parts, offsets = {}, {}
        for name in _PARTS:
            starts, ends = self.offsets[name][indices], self.offsets[name][indices + 1]
            offsets[name] = np.concatenate([[0], np.cumsum(ends - starts)])
            parts[name] = self.parts[name][ragged_rows(starts, ends)]
        return PackedMolecules(parts, offsets)

    def save(self, path: Path) -> None:
        arrays = {f"part_{k}": v for k, v in self.parts.items()} | {
            f"offset_{k}": v for k, v in self.offsets.items()
        }
        np.savez(path, **arrays)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: Path) -> PackedMolecules:
        with np.load(path, allow_pickle=False) as stored:
            parts = {name: stored[f"part_{name}"] for name in _PARTS}
            offsets = {name: stored[f"offset_{name}"] for name in _PARTS}
        return cls(parts, offsets)


def ragged_rows(starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Row numbers of the ranges ``starts[i]:ends[i]``, one after the other."""
    lengths = ends - starts
    total = int(lengths.sum())
    shift = np.repeat(starts - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths)
    return np.arange(total) + shift
