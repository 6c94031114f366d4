"""Reading structures that a user typed or pasted, with the fault and its place in words when they cannot be read."""

from __future__ import annotations

import base64
import io
import re
import sys
from typing import Any

from rdkit import Chem, rdBase
from rdkit.Chem import rdDepictor, rdMolDescriptors

from mlcore.retrieval import descriptors
from mlcore.retrieval.standardise import standardise
from mlcore.runtime.errors import InputError, LimitError

#: heavy atoms that a structure may have
MOST_ATOMS = 1000
#: atoms that a pattern may have
MOST_PATTERN_ATOMS = 200

NAMES = {"smiles": "SMILES", "inchi": "InChI", "molfile": "molfile", "smarts": "SMARTS pattern"}


class _Spoken:
    """Collects what RDKit says while a structure is read."""

    def __enter__(self) -> io.StringIO:
        self._before, self.text = sys.stderr, io.StringIO()
        sys.stderr = self.text
        return self.text

    def __exit__(self, *_: object) -> None:
        sys.stderr = self._before


rdBase.LogToPythonStderr()


def parse(text: str, form: str) -> Chem.Mol:
    """The sanitised molecule that ``text`` spells; ``form`` is ``smiles``, ``inchi`` or ``molfile``.

    Raises :class:`InputError` with the place of the fault, :class:`LimitError` above :data:`MOST_ATOMS` heavy
    atoms.
    """
    with _Spoken() as spoken:
        raw = _raw(text, form)
    if raw is None:
        raise _unreadable(form, spoken.getvalue())
    if raw.GetNumHeavyAtoms() > MOST_ATOMS:
        raise LimitError(
            f"This structure has {raw.GetNumHeavyAtoms():,} heavy atoms; {MOST_ATOMS:,} is the limit.",
            remedy="Search for a smaller part of it.",
        )
    if raw.GetNumAtoms() == 0:
        raise InputError(f"This {NAMES[form]} has no atoms.", remedy="Draw or type at least one atom.")
    with _Spoken() as spoken:
        problems = Chem.DetectChemistryProblems(raw)
    if problems:
        raise _impossible(raw, form, problems[0])
    with _Spoken() as spoken:
        molecule = _whole(text, form)
    if molecule is None:
        raise _unreadable(form, spoken.getvalue())
    return molecule


def _raw(text: str, form: str) -> Chem.Mol | None:
    if form == "smiles":
        return Chem.MolFromSmiles(text, sanitize=False)
    if form == "inchi":
        return Chem.MolFromInchi(text, sanitize=False, removeHs=False)
    return Chem.MolFromMolBlock(text, sanitize=False, removeHs=False, strictParsing=False)


def _whole(text: str, form: str) -> Chem.Mol | None:
    if form == "smiles":
        return Chem.MolFromSmiles(text)
    if form == "inchi":
        return Chem.MolFromInchi(text)
    return Chem.MolFromMolBlock(text, strictParsing=False)


def _unreadable(form: str, spoken: str) -> InputError:
    place = re.search(r"around position (\d+)", spoken)
    line = re.search(r"line (\d+)", spoken)
    if "unclosed ring" in spoken:
        reason, remedy = "a ring is opened and never closed", "Each ring number must occur twice."
    elif "extra open parentheses" in spoken:
        reason, remedy = "a bracket is opened and never closed", "Add the missing ')'."
    elif "extra close parentheses" in spoken:
        reason, remedy = "a bracket is closed that was never opened", "Remove the extra ')'."
    else:
        reason, remedy = (
            "it does not follow the notation",
            f"Check the {NAMES[form]}, or search for it as text.",
        )
    where = None
    if place is not None:
        where = f"character {place.group(1)}"
    elif line is not None and form == "molfile":
        where = f"line {line.group(1)}"
    return InputError(f"This {NAMES[form]} cannot be read: {reason}.", place=where, remedy=remedy)


def _impossible(raw: Chem.Mol, form: str, problem: Any) -> InputError:
    kind = problem.GetType()
    if kind in ("AtomValenceException", "AtomKekulizeException"):
        atom = raw.GetAtomWithIdx(problem.GetAtomIdx())
        place = f"atom {atom.GetIdx() + 1}, {atom.GetSymbol()}"
        if kind == "AtomValenceException":
            bonds = sum(round(bond.GetBondTypeAsDouble()) for bond in atom.GetBonds())
            bonds += atom.GetNumExplicitHs()
            message = f"{atom.GetSymbol()} cannot have {bonds} bonds"
            return InputError(
                f"This {NAMES[form]} is not a possible molecule: {message}.",
                place=place,
                remedy="Remove a bond there or give the atom its charge.",
            )
        return InputError(
            f"This {NAMES[form]} is not a possible molecule: an aromatic atom stands outside a ring.",
            place=place,
            remedy="Write atoms outside aromatic rings with capital letters.",
        )
    if kind == "KekulizeException":
        atoms = ", ".join(str(index + 1) for index in problem.GetAtomIndices()[:6])
        return InputError(
            f"This {NAMES[form]} is not a possible molecule: no double bonds can be placed in an aromatic ring.",
            place=f"atoms {atoms}",
            remedy="An aromatic NH is written [nH]; check the ring's size.",
        )
    return InputError(f"This {NAMES[form]} is not a possible molecule: {problem.Message()}.")


def read(text: str, form: str) -> dict[str, object]:
    """What a search needs to know of a structure.

    ``smiles`` canonical with stereo, ``inchi``, ``inchikey``, ``formula``, ``charge``, ``heavy_atoms``,
    ``weight``, the keys ``parent_inchikey`` and ``tautomer_key`` as a library has them, and the packed bits
    ``morgan`` and ``pattern`` (base64).
    """
    molecule = parse(text, form)
    smiles = Chem.MolToSmiles(molecule)
    with _Spoken():
        inchi = Chem.MolToInchi(molecule)
        parent = standardise(molecule, smiles)
        parent_key = Chem.MolToInchiKey(parent.mol)
    return {
        "smiles": smiles,
        "inchi": inchi,
        "inchikey": Chem.InchiToInchiKey(inchi) if inchi else "",
        "formula": rdMolDescriptors.CalcMolFormula(molecule),
        "charge": Chem.GetFormalCharge(molecule),
        "heavy_atoms": molecule.GetNumHeavyAtoms(),
        "weight": round(rdMolDescriptors._CalcMolWt(molecule), 4),
        "parent_inchikey": parent_key,
        "tautomer_key": descriptors.tautomer_key(parent.mol),
        "morgan": base64.b64encode(descriptors.morgan_bits(molecule).tobytes()).decode(),
        "pattern": base64.b64encode(descriptors.pattern_bits(molecule).tobytes()).decode(),
    }


def parse_pattern(text: str) -> Chem.Mol:
    """The query molecule that a SMARTS spells; raises :class:`InputError` or :class:`LimitError`."""
    with _Spoken() as spoken:
        query = Chem.MolFromSmarts(text)
    if query is None:
        raise _unreadable("smarts", spoken.getvalue())
    if query.GetNumAtoms() == 0:
        raise InputError("This SMARTS pattern has no atoms.", remedy="Write at least one atom.")
    if query.GetNumAtoms() > MOST_PATTERN_ATOMS:
        raise LimitError(
            f"This SMARTS pattern has {query.GetNumAtoms():,} atoms; {MOST_PATTERN_ATOMS} is the limit.",
            remedy="Search for a smaller part of it.",
        )
    query.UpdatePropertyCache(strict=False)
    Chem.FastFindRings(query)
    return query


def read_pattern(text: str) -> dict[str, object]:
    """A SMARTS as it was understood, and its packed screening bits (base64)."""
    query = parse_pattern(text)
    return {
        "smarts": Chem.MolToSmarts(query),
        "atoms": query.GetNumAtoms(),
        "pattern": base64.b64encode(descriptors.pattern_bits(query).tobytes()).decode(),
    }


def molfile(smiles: str) -> str:
    """A molfile (V2000, V3000 above 999 atoms) with computed two-dimensional coordinates."""
    molecule = parse(smiles, "smiles")
    rdDepictor.Compute2DCoords(molecule)
    return str(Chem.MolToMolBlock(molecule))
