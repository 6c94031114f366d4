"""What a hit must be like: ranges, elements, a substructure, similarity, category, library; all combinable.

Which rows of a library are like that is worked out in :mod:`mlcore.retrieval.allowed`.

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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlcore.retrieval.formula import ELEMENTS
from mlcore.retrieval.shelf import NUMBERS
from mlcore.runtime.errors import InputError

SIMILARITY = 0.5
_WORDS = {
    "weight": "weight", "exact_mass": "exact mass", "logp": "logP", "tpsa": "TPSA", "hbd": "donors",
    "hba": "acceptors", "rings": "rings", "charge": "charge", "stereocentres": "stereo centres",
    "heavy_atoms": "heavy atoms", "rotatable": "rotatable bonds",
}  # fmt: skip


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
