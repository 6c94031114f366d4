"""Structures and patterns as a search uses them: read in the sandbox, compared with NumPy."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mlcore.runtime.errors import InputError
from mlcore.runtime.sandbox import Sandbox, shared

_INSIDE = "mlcore.retrieval.inside.structures"


@dataclass(frozen=True, eq=False)
class Structure:
    """A molecule that a user gave. ``smiles`` is canonical with stereo; the bits are packed (256,) uint8."""

    smiles: str
    inchi: str
    inchikey: str
    formula: str
    charge: int
    heavy_atoms: int
    weight: float
    parent_inchikey: str
    tautomer_key: str
    morgan: np.ndarray
    pattern: np.ndarray

    @property
    def skeleton(self) -> str:
        """The first InChIKey block: the molecule without stereo and isotopes."""
        return self.inchikey.partition("-")[0]


@dataclass(frozen=True, eq=False)
class Pattern:
    """A substructure that a user gave: ``text`` to match, ``form`` ``smarts`` or ``smiles``, screening bits (256,)."""

    text: str
    form: str
    atoms: int
    bits: np.ndarray


def _bits(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), np.uint8)


@lru_cache(maxsize=512)  # paging and filtering by the same structure read it once
def _structure(text: str, form: str, sandbox: Sandbox | None) -> Structure:
    value, _ = (sandbox or shared()).call(f"{_INSIDE}:read", {"text": text, "form": form})
    return Structure(
        smiles=value["smiles"],
        inchi=value["inchi"],
        inchikey=value["inchikey"],
        formula=value["formula"],
        charge=value["charge"],
        heavy_atoms=value["heavy_atoms"],
        weight=value["weight"],
        parent_inchikey=value["parent_inchikey"],
        tautomer_key=value["tautomer_key"],
        morgan=_bits(value["morgan"]),
        pattern=_bits(value["pattern"]),
    )


def read_structure(
    text: str, form: str = "smiles", *, field: str | None = None, sandbox: Sandbox | None = None
) -> Structure:
    """The structure that ``text`` spells as ``form`` (``smiles``, ``inchi``, ``molfile``).

    Raises :class:`InputError` naming ``field``, fault, place and remedy.
    """
    try:
        return _structure(text, form, sandbox)
    except InputError as fault:
        fault.field = fault.field or field
        raise


def read_any(text: str, *, field: str | None = None, sandbox: Sandbox | None = None) -> Structure:
    """The structure of a SMILES, InChI or molfile, whichever ``text`` looks like."""
    if "M  END" in text or "V2000" in text or "V3000" in text:
        return read_structure(text, "molfile", field=field, sandbox=sandbox)
    form = "inchi" if text.lstrip().startswith("InChI=") else "smiles"
    return read_structure(text.strip(), form, field=field, sandbox=sandbox)


@lru_cache(maxsize=512)  # paging and filtering by the same structure read it once
def _pattern(text: str, sandbox: Sandbox | None) -> Pattern:
    value, _ = (sandbox or shared()).call(f"{_INSIDE}:read_pattern", {"text": text})
    return Pattern(text=text, form="smarts", atoms=value["atoms"], bits=_bits(value["pattern"]))


def read_pattern(text: str, *, field: str | None = None, sandbox: Sandbox | None = None) -> Pattern:
    """The pattern that a SMARTS spells; raises :class:`InputError` naming ``field``."""
    try:
        return _pattern(text, sandbox)
    except InputError as fault:
        fault.field = fault.field or field
        raise


def as_pattern(structure: Structure) -> Pattern:
    """The pattern "contains this molecule"."""
    return Pattern(structure.smiles, "smiles", structure.heavy_atoms, structure.pattern)


def molfile(smiles: str, *, sandbox: Sandbox | None = None) -> str:
    """A molfile with computed coordinates (V2000 up to 999 atoms)."""
    value, _ = (sandbox or shared()).call(f"{_INSIDE}:molfile", {"smiles": smiles})
    return str(value)


def tanimoto(bits: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Share of common bits of packed fingerprints ``bits`` (n, bytes) with ``query`` (bytes,): (n,) float32."""
    if not len(bits):
        return np.zeros(0, np.float32)
    rows = np.ascontiguousarray(bits).view(np.uint64)
    asked = np.ascontiguousarray(query).view(np.uint64)
    common = np.bitwise_count(rows & asked).sum(axis=1, dtype=np.int32)
    union = np.bitwise_count(rows | asked).sum(axis=1, dtype=np.int32)
    return np.where(union > 0, common / np.maximum(union, 1), 0.0).astype(np.float32)


def may_contain(bits: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Which of the packed pattern fingerprints ``bits`` (n, bytes) hold all bits of ``query``: (n,) bool."""
    if not len(bits):
        return np.zeros(0, bool)
    rows = np.ascontiguousarray(bits).view(np.uint64)
    asked = np.ascontiguousarray(query).view(np.uint64)
    words = np.flatnonzero(asked)
    return np.all((rows[:, words] & asked[words]) == asked[words], axis=1)
