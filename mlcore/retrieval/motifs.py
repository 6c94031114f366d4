"""Motifs: the functional fragments of a molecule (ORMA §III-B), by BRICS bonds and rings."""

from __future__ import annotations

from rdkit import Chem
from rdkit.Chem import BRICS


def motifs(mol: Chem.Mol) -> list[tuple[int, ...]]:
    """Atom index sets of the motifs of ``mol``, each ascending, in order of their first atom.

    BRICS bonds are cut; inside every piece with more than one ring each ring becomes a motif of its own and
    leaves the remaining atoms of the piece as motifs by connected component. A piece that is the whole molecule
    and is not split by its rings is dropped, so benzene has no motif.
    """
    count = mol.GetNumAtoms()
    cut = {frozenset(bond) for bond, _ in BRICS.FindBRICSBonds(mol)}
    rings = [frozenset(ring) for ring in mol.GetRingInfo().AtomRings()]
    found: list[tuple[int, ...]] = []
    for piece in _components(mol, range(count), cut):
        inside = [ring for ring in rings if ring <= piece]
        if len(inside) < 2:
            if len(piece) < count:
                found.append(tuple(sorted(piece)))
            continue
        found.extend(tuple(sorted(ring)) for ring in inside)
        rest = piece.difference(*inside)
        found.extend(tuple(sorted(part)) for part in _components(mol, sorted(rest), cut))
    return sorted(set(found))


def motifs_or_whole(mol: Chem.Mol) -> list[tuple[int, ...]]:
    """:func:`motifs`, or the whole molecule as its only motif where there is none."""
    return motifs(mol) or [tuple(range(mol.GetNumAtoms()))]


def _components(mol: Chem.Mol, members: object, cut: set[frozenset[int]]) -> list[frozenset[int]]:
    left = set(members)  # type: ignore[call-overload]
    parts: list[frozenset[int]] = []
    for start in sorted(left):
        if start not in left:
            continue
        left.discard(start)
        part, stack = {start}, [start]
        while stack:
            here = stack.pop()
            for neighbour in mol.GetAtomWithIdx(here).GetNeighbors():
                there = neighbour.GetIdx()
                if there in left and frozenset((here, there)) not in cut:
                    left.discard(there)
                    part.add(there)
                    stack.append(there)
        parts.append(frozenset(part))
    return parts
