"""The parent form of a molecule (RDKit's MolStandardize), with every step in words.

Counter-ions and solvents are removed, charges neutralised where hydrogens can do it, functional groups
brought into RDKit's normal form. The tautomer stays as drawn: choosing a canonical one costs as much as all
other steps of an import together and often picks the less familiar form; tautomers are matched by a key
instead (:func:`mlcore.retrieval.descriptors.tautomer_key`).
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import NamedTuple

from rdkit import Chem
from rdkit.Chem import rdMolDescriptors
from rdkit.Chem.MolStandardize import rdMolStandardize

from mlcore.retrieval.counter_ions import COUNTER_IONS, SOLVENTS

#: atomic numbers that the metal disconnector never touches
_ORDINARY = frozenset(
    (0, 1, 5, 6, 7, 8, 9, 14, 15, 16, 17, 34, 35, 53, 2, 10, 18, 36, 54, 32, 33, 51, 52, 85, 86)
)
_SULFOXIDE = Chem.MolFromSmarts("[S,Se,Te;X3,X2]=O")


class Standardised(NamedTuple):
    """A parent form and how it was reached; no steps: it is the molecule as uploaded."""

    mol: Chem.Mol
    smiles: str
    steps: tuple[str, ...]


@cache
def _tools() -> tuple[rdMolStandardize.LargestFragmentChooser, rdMolStandardize.Uncharger]:
    return rdMolStandardize.LargestFragmentChooser(True), rdMolStandardize.Uncharger()


def needs_work(mol: Chem.Mol) -> bool:
    """Whether any step could change ``mol``: several parts, charges, radicals, metals, or an S=O to be
    normalised.
    """
    for atom in mol.GetAtoms():
        if atom.GetFormalCharge() or atom.GetNumRadicalElectrons() or atom.GetAtomicNum() not in _ORDINARY:
            return True
    return len(Chem.GetMolFrags(mol)) > 1 or mol.HasSubstructMatch(_SULFOXIDE)


def standardise(mol: Chem.Mol, canonical: str) -> Standardised:
    """The parent of ``mol`` (sanitised), whose canonical SMILES is ``canonical``."""
    if not needs_work(mol):
        return Standardised(mol, canonical, ())
    choose, uncharge = _tools()
    steps: list[str] = []
    cleaned = rdMolStandardize.Cleanup(mol)
    text = Chem.MolToSmiles(cleaned)
    if text != canonical:
        split = len(Chem.GetMolFrags(cleaned)) > len(Chem.GetMolFrags(mol))
        steps.append(
            "separated a metal from its ligands" if split else "normalised functional groups and charges"
        )
    fragments = Chem.GetMolFrags(cleaned, asMols=True)
    parent = cleaned
    if len(fragments) > 1:
        if any(atom.GetAtomicNum() == 6 for atom in cleaned.GetAtoms()):
            parent = choose.choose(cleaned)
            steps.extend(_removed(fragments, parent))
        else:
            steps.append("kept whole: no part is organic")
            return Standardised(cleaned, text, tuple(steps))
    before = Chem.MolToSmiles(parent)
    parent = uncharge.uncharge(parent)
    after = Chem.MolToSmiles(parent)
    if after != before:
        steps.append("neutralised")
    return Standardised(parent, after, tuple(steps))


def _removed(fragments: tuple[Chem.Mol, ...], parent: Chem.Mol) -> list[str]:
    """A sentence for each kind of fragment that is not the parent."""
    counts = Counter(Chem.MolToSmiles(fragment) for fragment in fragments)
    kept = Chem.MolToSmiles(parent)
    counts[kept] -= 1
    sentences = []
    for smiles, count in sorted(counts.items()):
        if count <= 0:
            continue
        if smiles == kept:
            sentences.append(f"kept one of {count + 1} equal parts")
            continue
        number = f"{count} x " if count > 1 else ""
        if smiles in SOLVENTS:
            sentences.append(f"removed the solvent {number}{SOLVENTS[smiles]}")
        elif smiles in COUNTER_IONS:
            sentences.append(f"removed the counter-ion {number}{COUNTER_IONS[smiles]}")
        else:
            fragment = Chem.MolFromSmiles(smiles)
            formula = rdMolDescriptors.CalcMolFormula(fragment) if fragment is not None else smiles
            sentences.append(f"removed the part {number}{formula}")
    return sentences
