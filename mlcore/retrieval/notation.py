"""Which notation a text has the form of, by its characters alone: SMILES, SMARTS, InChIKey, CAS number."""

from __future__ import annotations

import re

#: the three blocks of an InChIKey, or the first one or two
KEY = re.compile(r"(?:InChIKey=)?([A-Z]{14})(?:-([A-Z]{8}[SNO][A-Z])(?:-([A-Z]))?)?", re.IGNORECASE)
#: the three numbers of a CAS number; :func:`cas_checks` says whether they fit
CAS = re.compile(r"(?:CAS(?:\s?(?:RN|No\.?|number))?:?\s*)?(\d{2,7})-(\d{2})-(\d)", re.IGNORECASE)
#: tokens of a SMILES, brackets closed
SMILES = re.compile(r"(?:Br|Cl|[BCNOPSFI]|[bcnops]|\[[^\[\]\s]+\]|[-=#$:/\\.~*()]|%\d\d|\d)+")
#: characters of a SMILES, one that is not finished included
OPEN_SMILES = re.compile(r"(?:Br|Cl|[BCNOPSFI]|[bcnops]|[\[\]@+HA-Za-z0-9]|[-=#$:/\\.~*()]|%)+")
#: what neither names nor formulas have
ONLY_SMILES = re.compile(r"[=#@\[\]\\]|[A-Za-z\])]/[A-Za-z\[(]")
#: what a SMARTS has and a SMILES has not
SMARTS_ONLY = re.compile(r"\[[^\]]*(?:[!;,&]|#\d|\$\(|\^\d|[DXRrvxHh]\d)|~|\$\(")


def smiles_like(text: str) -> bool:
    """Every character belongs to SMILES; lower-case (aromatic) atoms only together with ring numbers."""
    if ONLY_SMILES.search(text) and OPEN_SMILES.fullmatch(text):
        outside = re.sub(r"\[[^\[\]\s]*\]?", "", text)
        return re.search(r"[A-Za-z\[]", text) is not None and (
            not outside or _tokens(outside, whole=outside == text)
        )
    return _tokens(text, whole=True)


def _tokens(text: str, *, whole: bool) -> bool:
    """Whether ``text`` consists of the tokens of SMILES; the ``whole`` of a SMILES has an atom."""
    if not SMILES.fullmatch(text):
        return False
    if whole and not re.search(r"[A-Za-z\[]", text):
        return False
    bare = re.sub(r"Br|Cl|\[[^\]]*\]", "", text)
    return not re.search(r"[bcnops]", bare) or re.search(r"\d", text) is not None


def cas_checks(found: re.Match[str]) -> bool:
    """Whether the last digit of a match of :data:`CAS` is its check digit."""
    digits = found.group(1) + found.group(2)
    total = sum(place * int(digit) for place, digit in enumerate(reversed(digits), start=1))
    return total % 10 == int(found.group(3))
