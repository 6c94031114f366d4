"""What a hit must be like: ranges, elements, a substructure, similarity, category, library; all combinable.

A filter is spelt as flat URL parameters and back:

======================================  ===========================================================================
``weight_min`` ``weight_max`` ...       ranges of :data:`mlcore.retrieval.shelf.NUMBERS`; both ends count
``mass`` ``mass_tolerance``             exact mass in dalton within ``5ppm`` (default) or ``0.01Da``
``elements`` ``without`` ``only``       element symbols: all of these, none of these, nothing but these
``substructure``                        a SMARTS that must match
``similar_to`` ``similarity``           a SMILES and the least Tanimoto similarity (Morgan 2, 2048 bits; default 0.5)
``category`` ``library``                one of these (comma or repeated)
======================================  ===========================================================================
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mlcore.retrieval.formula import ELEMENTS
from mlcore.retrieval.shelf import NUMBERS, Shelf
from mlcore.retrieval.structure import Pattern, may_contain, read_any, read_pattern, tanimoto
from mlcore.runtime.errors import InputError, LimitError
from mlcore.runtime.sandbox import Sandbox, shared

#: seconds that matching a substructure may take per library
SECONDS = 2.0
SIMILARITY = 0.5
_WORDS = {
    "weight": "weight", "exact_mass": "exact mass", "logp": "logP", "tpsa": "TPSA", "hbd": "donors",
    "hba": "acceptors", "rings": "rings", "charge": "charge", "stereocentres": "stereo centres",
    "heavy_atoms": "heavy atoms", "rotatable": "rotatable bonds",
}  # fmt: skip
_CHUNKS = (200, 1000, 4000)


@dataclass(frozen=True)
class Filters:
    """Parsed filters; empty means that everything passes. Made by :meth:`parse`."""

    ranges: tuple[tuple[str, float | None, float | None], ...] = ()
    mass: float | None = None
    tolerance: float = 5.0
    tolerance_unit: str = "ppm"
    elements: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    substructure: str = ""
    similar_to: str = ""
    similarity: float = SIMILARITY
    categories: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()

    @classmethod
    def parse(cls, parameters: Mapping[str, str | Sequence[str]]) -> Filters:
        """Filters from URL parameters; other keys and empty values are ignored.

        Raises :class:`InputError` naming the parameter that cannot be read.
        """
        given = {key: _listed(value) for key, value in parameters.items()}
        mass = _number(given, "mass")
        tolerance, unit = _tolerance(_single(given, "mass_tolerance"))
        similarity = _number(given, "similarity")
        if similarity is not None and not 0 <= similarity <= 1:
            raise InputError(
                f"A similarity of {similarity:g} is outside 0 to 1.",
                field="similarity",
                remedy="Use a value like 0.5.",
            )
        if mass is not None and mass <= 0:
            raise InputError("An exact mass must be above zero.", field="mass", remedy="Give it in dalton.")
        return cls(
            ranges=_ranges(given),
            mass=mass,
            tolerance=tolerance,
            tolerance_unit=unit,
            elements=_symbols(given, "elements"),
            without=_symbols(given, "without"),
            only=_symbols(given, "only"),
            substructure=_single(given, "substructure"),
            similar_to=_single(given, "similar_to"),
            similarity=SIMILARITY if similarity is None else similarity,
            categories=tuple(dict.fromkeys(_split(given, "category"))),
            libraries=tuple(dict.fromkeys(_split(given, "library"))),
        )

    def parameters(self) -> dict[str, str]:
        """The same filters as URL parameters, in one canonical order; :meth:`parse` reads them back."""
        found: dict[str, str] = {}
        for name, least, most in self.ranges:
            if least is not None:
                found[f"{name}_min"] = _plain(least)
            if most is not None:
                found[f"{name}_max"] = _plain(most)
        if self.mass is not None:
            found["mass"] = _plain(self.mass)
            found["mass_tolerance"] = f"{_plain(self.tolerance)}{self.tolerance_unit}"
        for key, symbols in (("elements", self.elements), ("without", self.without), ("only", self.only)):
            if symbols:
                found[key] = ",".join(symbols)
        if self.substructure:
            found["substructure"] = self.substructure
        if self.similar_to:
            found["similar_to"] = self.similar_to
            found["similarity"] = _plain(self.similarity)
        if self.categories:
            found["category"] = ",".join(self.categories)
        if self.libraries:
            found["library"] = ",".join(self.libraries)
        return found

    def words(self) -> list[str]:
        """Each filter in words, for chips: ``weight 100 to 300``."""
        found = []
        for name, least, most in self.ranges:
            if least is not None and most is not None:
                span = _plain(least) if least == most else f"{_plain(least)} to {_plain(most)}"
            else:
                span = f"from {_plain(least)}" if least is not None else f"up to {_plain(most or 0.0)}"
            found.append(f"{_WORDS[name]} {span}")
        if self.mass is not None:
            found.append(f"exact mass {_plain(self.mass)} ± {_plain(self.tolerance)} {self.tolerance_unit}")
        for word, symbols in (("with", self.elements), ("without", self.without), ("only", self.only)):
            if symbols:
                found.append(f"{word} {', '.join(symbols)}")
        if self.substructure:
            found.append(f"contains {self.substructure}")
        if self.similar_to:
            found.append(f"at least {_plain(self.similarity)} similar to {self.similar_to}")
        found.extend(f"category {category}" for category in self.categories)
        return found

    def __bool__(self) -> bool:
        return bool(self.parameters())


@dataclass(frozen=True, eq=False)
class Allowed:
    """Which rows of one library pass: ``mask`` (size,) bool, ``None`` when all do; notes on what was left unchecked."""

    mask: np.ndarray | None
    notes: tuple[str, ...] = ()
    unchecked: int = 0

    def __contains__(self, row: int) -> bool:
        return self.mask is None or bool(self.mask[row])

    @property
    def rows(self) -> np.ndarray | None:
        """The numbers of the rows that pass, or ``None`` for all."""
        return None if self.mask is None else np.flatnonzero(self.mask)

    def count(self, size: int) -> int:
        """How many of ``size`` rows pass."""
        return size if self.mask is None else int(self.mask.sum())


def evaluate(
    filters: Filters,
    shelf: Shelf,
    *,
    stereo: bool = True,
    sandbox: Sandbox | None = None,
    seconds: float = SECONDS,
) -> Allowed:
    """Which rows of ``shelf`` pass ``filters``: the cheap conditions first, then similarity, then the
    substructure.

    A substructure that takes longer than ``seconds`` gives a partial answer and a note with the number of
    molecules not checked (they do not pass). Raises :class:`InputError` for an unreadable structure or
    pattern.
    """
    pattern = (
        read_pattern(filters.substructure, field="substructure", sandbox=sandbox)
        if filters.substructure
        else None
    )
    similar = (
        read_any(filters.similar_to, field="similar_to", sandbox=sandbox) if filters.similar_to else None
    )
    if not filters or (not pattern and not similar and not _cheap(filters)):
        return Allowed(None)
    mask = _by_columns(filters, shelf)
    if similar is not None:
        rows = np.flatnonzero(mask)
        alike = tanimoto(np.asarray(shelf.library.fingerprints())[rows], similar.morgan)
        mask[rows[alike < filters.similarity]] = False
    if pattern is None:
        return Allowed(mask)
    return contains(pattern, shelf, mask, stereo=stereo, sandbox=sandbox, seconds=seconds)


def _cheap(filters: Filters) -> bool:
    return bool(
        filters.ranges
        or filters.mass is not None
        or filters.elements
        or filters.without
        or filters.only
        or filters.categories
    )


def _by_columns(filters: Filters, shelf: Shelf) -> np.ndarray:
    mask = np.ones(shelf.size, bool)
    for name, least, most in filters.ranges:
        values = shelf.columns[name]
        if least is not None:
            mask &= values >= least - 1e-9
        if most is not None:
            mask &= values <= most + 1e-9
    if filters.mass is not None:
        width = (
            filters.tolerance if filters.tolerance_unit == "Da" else filters.mass * filters.tolerance * 1e-6
        )
        mask &= np.abs(shelf.columns["exact_mass"] - filters.mass) <= width + 1e-9
    nothing = np.zeros(shelf.size, bool)
    for symbol in filters.elements:
        mask &= shelf.elements.get(symbol, nothing)
    for symbol in filters.without:
        mask &= ~shelf.elements.get(symbol, nothing)
    if filters.only:
        for symbol, rows in shelf.elements.items():
            if symbol not in filters.only:
                mask &= ~rows
    if filters.categories:
        wanted = {category.casefold() for category in filters.categories}
        mask &= np.fromiter((value.casefold() in wanted for value in shelf.categories), bool, shelf.size)
    return mask


def contains(
    pattern: Pattern,
    shelf: Shelf,
    mask: np.ndarray | None = None,
    *,
    stereo: bool = True,
    sandbox: Sandbox | None = None,
    seconds: float = SECONDS,
) -> Allowed:
    """Which rows of ``shelf`` (among ``mask``) contain ``pattern``: screened by bits, then matched in the
    sandbox.

    With ``stereo`` the pattern's stereo must agree. Partial after ``seconds``, with a note.
    """
    start = np.ones(shelf.size, bool) if mask is None else mask
    key = (pattern.text, pattern.form, stereo)
    known = shelf.contained.get(key)
    if known is not None:
        return Allowed(start & known)
    candidates = np.flatnonzero(
        may_contain(np.asarray(shelf.library.pattern_fingerprints()), pattern.bits) & start
    )
    found, checked = _match(pattern, shelf, candidates, stereo, sandbox or shared(), seconds)
    result = np.zeros(shelf.size, bool)
    result[found] = True
    unchecked = len(candidates) - checked
    if unchecked:
        note = (
            f"The substructure search stopped after {seconds:g} s; {unchecked:,} molecules were not checked."
        )
        return Allowed(result, (note,), unchecked)
    if mask is None or mask.all():
        shelf.remember(key, result)
    return Allowed(result)


def _match(
    pattern: Pattern, shelf: Shelf, candidates: np.ndarray, stereo: bool, sandbox: Sandbox, seconds: float
) -> tuple[np.ndarray, int]:
    """The rows of ``candidates`` that match and how many were checked in time."""
    deadline = time.monotonic() + seconds
    matched: list[np.ndarray] = []
    checked = 0
    chunks = iter(_CHUNKS)
    size = next(chunks)
    while checked < len(candidates):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        part = candidates[checked : checked + size]
        arguments = {"pattern": pattern.text, "form": pattern.form, "stereo": stereo, "seconds": left}
        try:
            count, flags = sandbox.call(
                "mlcore.retrieval.inside.matching:match",
                arguments,
                seconds=left + 0.25,
                blob="\n".join(shelf.smiles(part)).encode(),
            )
        except LimitError:
            break
        matched.append(part[:count][np.frombuffer(flags, np.uint8).astype(bool)])
        checked += count
        size = next(chunks, size)
        if count < len(part):
            break
    return (np.concatenate(matched) if matched else np.empty(0, np.int64)), checked


# -- reading parameters
# --------------------------------------------------------------------------------------------


def _listed(value: str | Sequence[str]) -> list[str]:
    values = [value] if isinstance(value, str) else [str(part) for part in value]
    return [part.strip() for part in values if part.strip()]


def _single(given: Mapping[str, list[str]], key: str) -> str:
    values = given.get(key, [])
    return values[-1] if values else ""


def _split(given: Mapping[str, list[str]], key: str) -> list[str]:
    return [part.strip() for value in given.get(key, []) for part in value.split(",") if part.strip()]


def _number(given: Mapping[str, list[str]], key: str) -> float | None:
    text = _single(given, key).replace("\u2212", "-")
    if not text:
        return None
    if re.fullmatch(r"[+-]?\d+,\d+", text):  # a decimal comma
        text = text.replace(",", ".")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"'{text[:40]}' is not a number.", field=key, remedy="Write it like 12.5.")
    return value


def _ranges(given: Mapping[str, list[str]]) -> tuple[tuple[str, float | None, float | None], ...]:
    found = []
    for name in NUMBERS:
        least, most = _number(given, f"{name}_min"), _number(given, f"{name}_max")
        if least is not None and most is not None and least > most:
            raise InputError(
                f"The least {_WORDS[name]} ({_plain(least)}) is above the greatest ({_plain(most)}).",
                field=f"{name}_min",
                remedy="Swap the two.",
            )
        if least is not None or most is not None:
            found.append((name, least, most))
    return tuple(found)


def _tolerance(text: str) -> tuple[float, str]:
    if not text:
        return 5.0, "ppm"
    found = re.fullmatch(r"(?:±\s*)?(\d+(?:[.,]\d+)?)\s*(ppm|da|u|mda)?", text, re.IGNORECASE)
    if found is None:
        raise InputError(
            f"'{text[:40]}' is not a tolerance.",
            field="mass_tolerance",
            remedy="Write it like 5ppm or 0.01Da.",
        )
    value, unit = float(found.group(1).replace(",", ".")), (found.group(2) or "ppm").lower()
    if unit == "mda":
        return value / 1000, "Da"
    return value, "ppm" if unit == "ppm" else "Da"


def _symbols(given: Mapping[str, list[str]], key: str) -> tuple[str, ...]:
    found = []
    for value in given.get(key, []):
        for part in re.split(r"[,;\s]+", value):
            symbol = part[:1].upper() + part[1:].lower()
            if symbol and symbol not in ELEMENTS:
                raise InputError(
                    f"'{part[:20]}' is not an element.", field=key, remedy="Use symbols like C, N, Cl."
                )
            if symbol:
                found.append(symbol)
    return tuple(sorted(set(found), key=ELEMENTS.index))


def _plain(value: float) -> str:
    """A number without needless zeros, and exact."""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))
