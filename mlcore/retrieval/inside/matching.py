"""Which of many molecules contain a pattern, until the time is up."""

from __future__ import annotations

import re
import time
from typing import Any

from rdkit import Chem

from mlcore.retrieval.inside.structures import parse, parse_pattern

#: SMARTS that ask for ring sizes or numbers of rings, and for more than a quick reading offers at all
_RINGS = re.compile(r"[rRxk]\d|[rk]\{")
_DEMANDING = re.compile(r"\^\d")


def _quick(smiles: str, parameters: Chem.SmilesParserParams, rings: bool) -> Chem.Mol | None:
    """A molecule from a canonical SMILES whose aromaticity is taken as written: five times faster than the full way."""
    molecule = Chem.MolFromSmiles(smiles, parameters)
    if molecule is not None:
        molecule.UpdatePropertyCache(strict=False)
        if rings:
            Chem.GetSymmSSSR(molecule)
        else:
            Chem.FastFindRings(molecule)
    return molecule


def match(pattern: str, form: str, stereo: bool, seconds: float, blob: bytes) -> tuple[int, bytes]:
    """Match ``pattern`` (``form`` ``smarts`` or ``smiles``) against the canonical SMILES in ``blob``, one a
    line.

    Returns how many were checked within ``seconds`` and one byte for each of them, 1 where it matches. With
    ``stereo`` the pattern's stereo centres and double bonds must agree.
    """
    query = parse_pattern(pattern) if form == "smarts" else parse(pattern, "smiles")
    options: Any = Chem.SubstructMatchParameters()
    options.maxMatches = 1
    strict: Any = Chem.SubstructMatchParameters()
    strict.maxMatches = 1
    strict.useChirality = True
    compare_stereo = stereo and re.search(r"[@/\\]", pattern) is not None
    demanding = form == "smarts" and _DEMANDING.search(pattern) is not None
    rings = form == "smarts" and _RINGS.search(pattern) is not None
    parameters: Any = Chem.SmilesParserParams()
    parameters.sanitize = False
    parameters.removeHs = False
    deadline = time.monotonic() + seconds
    found = bytearray()
    for smiles in blob.decode().split("\n"):
        if time.monotonic() > deadline:
            break
        molecule = Chem.MolFromSmiles(smiles) if demanding else _quick(smiles, parameters, rings)
        hit = molecule is not None and molecule.HasSubstructMatch(query, options)
        if hit and compare_stereo:
            whole = molecule if demanding else Chem.MolFromSmiles(smiles)
            hit = whole is not None and whole.HasSubstructMatch(query, strict)
        found.append(bool(hit))
    return len(found), bytes(found)


def atoms(pattern: str, form: str, smiles: str) -> list[int]:
    """The atoms of ``smiles`` that the first match of ``pattern`` covers; empty when there is none."""
    query = parse_pattern(pattern) if form == "smarts" else parse(pattern, "smiles")
    return list(parse(smiles, "smiles").GetSubstructMatch(query))
