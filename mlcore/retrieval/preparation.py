"""From one record to everything a library stores of a molecule, before the model sees it.

Runs in the worker processes of an import (:mod:`mlcore.retrieval.pool`): needs RDKit and NumPy only.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from rdkit import Chem
from rdkit.Chem import Descriptors, rdMolDescriptors

from mlcore.retrieval import descriptors
from mlcore.retrieval.faults import complaints, in_words
from mlcore.retrieval.sources import Limits
from mlcore.retrieval.standardise import standardise


class Prepared(NamedTuple):
    """A molecule that can be used. ``features``: what the model's ``featurise`` made of it, if it has one."""

    smiles: str
    canonical_smiles: str
    standard_smiles: str
    identity: str
    inchikey: str
    parent_inchikey: str
    tautomer_key: str
    formula: str
    weight: float
    exact_mass: float
    properties: tuple[float, ...]
    elements: dict[str, int]
    standardisation: tuple[str, ...]
    morgan: bytes
    pattern: bytes
    features: Any


class Refused(NamedTuple):
    """A record that cannot be used, and why."""

    reason: str


@dataclass(frozen=True)
class Preparation:
    """Prepares records within ``limits``; ``featurise`` is the model's own preparation of a molecule, or
    None.
    """

    limits: Limits
    featurise: Callable[[Chem.Mol], Any] | None = None

    def __call__(self, kind: str, structure: str) -> Prepared | Refused:
        """Prepare ``structure``, a ``kind`` of SMILES, InChI or molfile. Never raises for what a user may
        send.
        """
        try:
            return self._prepare(kind, structure)
        except MemoryError:
            return Refused("it needs more memory than one molecule may have")
        except (ValueError, RuntimeError, Chem.MolSanitizeException) as fault:
            return Refused(f"RDKit cannot work with it: {str(fault).strip().splitlines()[0][:200]}")

    def _prepare(self, kind: str, structure: str) -> Prepared | Refused:
        steps: list[str] = []
        with complaints() as lines:
            if kind == "molblock":
                parsed = self._molblock(structure)
            elif kind == "inchi":
                parsed = self._inchi(structure, steps)
            else:
                parsed = self._smiles(structure, steps)
            if isinstance(parsed, Refused):
                return parsed
            mol, smiles = parsed
        if mol is None:
            return Refused(in_words(lines, structure, kind))
        if not mol.GetNumAtoms():
            return Refused("it has no atoms")
        if mol.GetNumAtoms() > self.limits.atoms:
            return self._too_large(mol.GetNumAtoms())
        canonical = Chem.MolToSmiles(mol)
        if kind != "smiles":  # one way of reading for everybody: atoms are numbered as in the stored SMILES
            smiles = canonical
            again = cast("Chem.Mol | None", Chem.MolFromSmiles(smiles))
            if again is None:
                return Refused("RDKit cannot read its own SMILES of it")
            mol = again
        return self._describe(mol, smiles, canonical, steps)

    def _describe(self, mol: Chem.Mol, smiles: str, canonical: str, steps: list[str]) -> Prepared:
        with complaints():
            inchi = Chem.MolToInchi(mol)
            inchikey = Chem.InchiToInchiKey(inchi) if inchi else ""
            parent = standardise(mol, canonical)
            same = parent.smiles == canonical
            parent_inchikey = inchikey if same else Chem.MolToInchiKey(parent.mol)
            return Prepared(
                smiles=smiles,
                canonical_smiles=canonical,
                standard_smiles=parent.smiles,
                identity=descriptors.identity(mol, inchi, inchikey, canonical),
                inchikey=inchikey,
                parent_inchikey=parent_inchikey,
                tautomer_key=descriptors.tautomer_key(parent.mol),
                formula=rdMolDescriptors.CalcMolFormula(mol),
                weight=round(Descriptors.MolWt(mol), 4),  # type: ignore[attr-defined]
                exact_mass=round(rdMolDescriptors.CalcExactMolWt(mol), 6),
                properties=descriptors.properties(mol),
                elements=descriptors.elements(mol),
                standardisation=(*steps, *parent.steps),
                morgan=descriptors.morgan_bits(mol).tobytes(),
                pattern=descriptors.pattern_bits(mol).tobytes(),
                features=self.featurise(mol) if self.featurise else None,
            )

    def _too_large(self, atoms: int) -> Refused:
        return Refused(f"it has {atoms:,} atoms; at most {self.limits.atoms:,} are allowed")

    def _smiles(self, text: str, steps: list[str]) -> tuple[Chem.Mol | None, str] | Refused:
        smiles, _, extension = text.partition(" ")
        odd = re.search(r"[^\x21-\x7e]", text if not extension.startswith("|") else smiles)
        if odd:
            character = odd.group()
            shown = "a space" if character.isspace() else f"'{character}'"
            return Refused(f"character {odd.start() + 1} ({shown}) does not belong in a SMILES")
        if extension:
            steps.append("left out the CXSMILES extension")
        if len(smiles) > self.limits.atoms:  # fewer characters than allowed atoms cannot hold too many
            unchecked = Chem.MolFromSmiles(smiles, sanitize=False)
            if unchecked is not None and unchecked.GetNumAtoms() > self.limits.atoms:
                return self._too_large(unchecked.GetNumAtoms())
        return Chem.MolFromSmiles(smiles), smiles

    def _inchi(self, text: str, steps: list[str]) -> tuple[Chem.Mol | None, str] | Refused:
        if not text.startswith("InChI="):
            return Refused("it does not begin with 'InChI='")
        formula = text.split("/")[1] if "/" in text else ""
        atoms = sum(
            int(count or 1) for element, count in re.findall(r"([A-Z][a-z]?)(\d*)", formula) if element != "H"
        )
        if atoms > self.limits.atoms:
            return self._too_large(atoms)
        steps.append("read from the InChI")
        return Chem.MolFromInchi(text), ""

    def _molblock(self, text: str) -> tuple[Chem.Mol | None, str] | Refused:
        counts = text.split("\n", 4)[3] if text.count("\n") > 3 else ""
        number = counts[:3].strip()
        v3000 = re.search(r"^M  V30 COUNTS (\d+)", text, re.MULTILINE) if "V3000" in counts else None
        declared = int(v3000.group(1)) if v3000 else int(number) if number.isdigit() else 0
        if declared > self.limits.atoms:
            return self._too_large(declared)
        return Chem.MolFromMolBlock(text), ""
