"""Count fingerprints and exact composition of a molecule: what no message passing has to learn.

One long vector a molecule, every entry ``log(1 + count)``:

* Morgan environments up to radius 2 and atom pairs, torsions and paths, all with chirality where RDKit offers it;
* a *thermometer* of the exact counts that texts spell out: elements, charges, rings, double-bond and stereo labels.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator

#: (name, bits) of each hashed block, in order
BLOCKS = (("morgan", 2048), ("pairs", 2048), ("torsions", 1024), ("paths", 1024))
#: (name, largest count told apart) of each exact count, in order
COUNTS = (
    ("C", 64), ("H", 96), ("N", 16), ("O", 32), ("P", 6), ("S", 8), ("F", 8), ("Cl", 8), ("Br", 6), ("I", 6),
    ("other", 6), ("positive", 6), ("negative", 8), ("isotopes", 6), ("fragments", 6), ("radicals", 3),
    ("rings", 12), ("aromatic rings", 8), ("R", 24), ("S label", 24), ("unassigned", 12), ("E", 10), ("Z", 10),
    ("chain double bonds", 12), ("triple bonds", 6), ("longest chain", 40),
)  # fmt: skip
HASHED = sum(bits for _, bits in BLOCKS)
WIDTH = HASHED + sum(limit for _, limit in COUNTS)
_ELEMENTS = ("C", "H", "N", "O", "P", "S", "F", "Cl", "Br", "I")


@cache
def _generators() -> tuple[tuple[int, object], ...]:
    made = (
        rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=BLOCKS[0][1], includeChirality=True),
        rdFingerprintGenerator.GetAtomPairGenerator(fpSize=BLOCKS[1][1], includeChirality=True),
        rdFingerprintGenerator.GetTopologicalTorsionGenerator(fpSize=BLOCKS[2][1], includeChirality=True),
        rdFingerprintGenerator.GetRDKitFPGenerator(fpSize=BLOCKS[3][1], maxPath=5),
    )
    starts = np.cumsum([0] + [bits for _, bits in BLOCKS])
    return tuple((int(start), made[i]) for i, start in enumerate(starts[:-1]))


def exact_counts(mol: Chem.Mol) -> list[int]:
    """The counts of :data:`COUNTS`, in order."""
    elements = dict.fromkeys(_ELEMENTS, 0)
    other = positive = negative = isotopes = radicals = right = left = unassigned = 0
    for atom in mol.GetAtoms():
        symbol = atom.GetSymbol()
        if symbol in elements:
            elements[symbol] += 1
        else:
            other += 1
        elements["H"] += atom.GetTotalNumHs()
        charge = atom.GetFormalCharge()
        positive += max(charge, 0)
        negative += max(-charge, 0)
        isotopes += atom.GetIsotope() != 0
        radicals += atom.GetNumRadicalElectrons()
        if atom.HasProp("_CIPCode"):
            right += atom.GetProp("_CIPCode") == "R"
            left += atom.GetProp("_CIPCode") == "S"
        elif atom.HasProp("_ChiralityPossible"):
            unassigned += 1
    entgegen = zusammen = chain_double = triple = 0
    for bond in mol.GetBonds():
        kind, stereo = bond.GetBondType(), bond.GetStereo()
        entgegen += stereo == Chem.BondStereo.STEREOE
        zusammen += stereo == Chem.BondStereo.STEREOZ
        carbons = bond.GetBeginAtom().GetAtomicNum() == 6 and bond.GetEndAtom().GetAtomicNum() == 6
        chain_double += kind == Chem.BondType.DOUBLE and carbons and not bond.IsInRing()
        triple += kind == Chem.BondType.TRIPLE
    rings = mol.GetRingInfo().BondRings()
    aromatic = sum(all(mol.GetBondWithIdx(b).GetIsAromatic() for b in ring) for ring in rings)
    fragments = len(Chem.GetMolFrags(mol))
    return [
        *(elements[symbol] for symbol in _ELEMENTS), other, positive, negative, isotopes, fragments, radicals,
        len(rings), aromatic, right, left, unassigned, entgegen, zusammen, chain_double, triple, _longest_chain(mol),
    ]  # fmt: skip


def _longest_chain(mol: Chem.Mol) -> int:
    """Atoms in the longest run of acyclic carbons (an acyl chain's length), branches included."""
    chain = [atom.GetAtomicNum() == 6 and not atom.IsInRing() for atom in mol.GetAtoms()]
    seen = [False] * len(chain)
    longest = 0
    for start, member in enumerate(chain):
        if not member or seen[start]:
            continue
        stack, size = [start], 0
        seen[start] = True
        while stack:
            size += 1
            for neighbour in mol.GetAtomWithIdx(stack.pop()).GetNeighbors():
                index = neighbour.GetIdx()
                if chain[index] and not seen[index]:
                    seen[index] = True
                    stack.append(index)
        longest = max(longest, size)
    return longest


def fingerprint(mol: Chem.Mol) -> tuple[np.ndarray, np.ndarray]:
    """The sparse vector of ``mol``: columns (int32, ascending within a block) and values (float32)."""
    columns: list[np.ndarray] = []
    values: list[np.ndarray] = []
    for start, generator in _generators():
        counts = generator.GetCountFingerprintAsNumPy(mol)  # type: ignore[attr-defined]
        hit = np.flatnonzero(counts)
        columns.append(hit + start)
        values.append(np.log1p(counts[hit]))
    start = HASHED
    for (_, limit), count in zip(COUNTS, exact_counts(mol), strict=True):
        lit = min(int(count), limit)
        columns.append(np.arange(start, start + lit))
        values.append(np.full(lit, 0.5))
        if lit > 0:  # the last step of the thermometer stands out: the exact count
            values[-1][-1] = 1.0
        start += limit
    return np.concatenate(columns).astype(np.int32), np.concatenate(values).astype(np.float32)
