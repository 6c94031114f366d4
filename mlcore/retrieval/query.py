"""What did they type? One box takes prose, names, formulas, SMILES, InChI, InChIKeys, molfiles, SMARTS, CAS
numbers, ids.

The rules, first that fits (``read_as`` overrules all of them; what else the text could be goes into
``alternatives``):

1.  a molfile, an InChI, an InChIKey (whole, two blocks or the first block in capitals), a CAS number with a right check
    digit: by their form;
2.  an exact name or synonym of a chosen library, unless it has characters that only a SMILES has (``=#@[]/\\``);
3.  an id of a chosen library;
4.  a single word that is a formula with the right case: with a digit or a charge (``C9H8O4``, ``NH4+``,
    ``CH3COOH``), with a two-letter element (``NaCl``), or well known (``CO``, ``NO``, ``HCN``, ``KOH``). A
    lone symbol is the element, except ``C N O S P``, which a chemist types as SMILES. Repeated elements
    without hydrogen speak for SMILES (``CCO``, ``C1CC1``);
5.  a SMILES or SMARTS: all characters belong to the notation. If it has brackets, bonds or ring numbers and
    is still not readable, that is an error with its place, not a silent search for words;
6.  a formula in the wrong case (``h2co3``);
7.  a misspelt name (at most six words, not all of them words of the libraries' texts);
8.  a single unknown word is a name nobody here has; everything else is prose.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Protocol

from mlcore.retrieval import formula as formulas
from mlcore.retrieval import notation
from mlcore.retrieval.cleaning import clean, is_molfile
from mlcore.retrieval.formula import Formula
from mlcore.retrieval.structure import Pattern, Structure, read_pattern, read_structure
from mlcore.runtime.errors import InputError, LimitError
from mlcore.runtime.sandbox import Sandbox

KINDS = ("prose", "name", "formula", "smiles", "inchi", "inchikey", "molfile", "smarts", "cas", "id")
LABELS = {
    "prose": "read as a description",
    "name": "read as a name",
    "formula": "read as a formula",
    "smiles": "read as a SMILES",
    "inchi": "read as an InChI",
    "inchikey": "read as an InChIKey",
    "molfile": "read as a molfile",
    "smarts": "read as a SMARTS pattern",
    "cas": "read as a CAS number",
    "id": "read as an identifier",
}
_OFFERS = {
    "prose": "search for it as text",
    "name": "look it up as a name",
    "formula": "read it as the formula {}",
    "smiles": "read it as a SMILES ({})",
    "smarts": "read it as a SMARTS pattern",
    "inchikey": "read it as an InChIKey",
}
#: formulas without digits and two-letter symbols that everybody reads as formulas
_FAMILIAR = frozenset((
    "CO", "NO", "HF", "HI", "HCN", "KF", "KI", "KH", "KOH", "KCN", "BN", "NH", "OH", "CH", "SH", "OCS", "COS",
    "HNCO", "HOCN", "HNO", "HOF", "KSCN", "KOCN", "HSCN", "ICN", "IF", "NOF", "KHS", "VN", "VO", "WC", "VC",
))  # fmt: skip
_DASHES = str.maketrans(dict.fromkeys("‐‑‒–—−﹣－", "-"))


@dataclass(frozen=True)
class Reading:
    """Another way to read the text."""

    read_as: str
    label: str


@dataclass(frozen=True)
class Query:
    """A query as it was understood. ``text`` is cleaned; ``corrected`` is the name that a misspelt one stands for."""

    text: str
    kind: str
    label: str
    alternatives: tuple[Reading, ...] = ()
    structure: Structure | None = None
    pattern: Pattern | None = None
    formula: Formula | None = None
    key: str | None = None
    corrected: str | None = None
    notes: tuple[str, ...] = ()


class Knowledge(Protocol):
    """What the chosen libraries know, as far as reading a query needs it."""

    def known_name(self, text: str) -> bool:
        """Whether a molecule is called ``text``."""

    def corrected_name(self, text: str) -> str | None:
        """The name that ``text`` probably misspells."""

    def known_word(self, word: str) -> bool:
        """Whether the libraries' texts use ``word``."""

    def known_id(self, text: str) -> bool:
        """Whether a molecule has the id ``text``."""


class _KnowsNothing:
    def known_name(self, text: str) -> bool:
        return False

    def corrected_name(self, text: str) -> str | None:
        return None

    def known_word(self, word: str) -> bool:
        return False

    def known_id(self, text: str) -> bool:
        return False


def understand(
    text: str, *, read_as: str = "auto", knows: Knowledge | None = None, sandbox: Sandbox | None = None
) -> Query:
    """Read ``text`` by the rules of this module, or as ``read_as`` (one of :data:`KINDS`).

    Raises :class:`InputError` (``field="q"``) for empty text, an unreadable structure or an unknown
    ``read_as``, and :class:`LimitError` for one that is too long (:mod:`.cleaning`).
    """
    if read_as not in (*KINDS, "auto"):
        raise InputError(
            f"A query cannot be read as '{read_as[:40]}'.",
            field="read_as",
            remedy=f"Use auto, {', '.join(KINDS)}.",
        )
    cleaned, notes = clean(text, molfile=read_as == "molfile")
    reader = _Reader(cleaned, knows or _KnowsNothing(), sandbox)
    query = reader.auto() if read_as == "auto" else reader.forced(read_as)
    return replace(query, alternatives=reader.alternatives(query), notes=(*notes, *query.notes))


class _Reader:
    """One text being read."""

    def __init__(self, text: str, knows: Knowledge, sandbox: Sandbox | None) -> None:
        self.text = text
        self.knows = knows
        self.sandbox = sandbox
        self.flat = text.translate(_DASHES)

    # -- the rules, in order

    def auto(self) -> Query:
        """The first rule that fits."""
        for rule in (self._by_form, self._by_knowledge, self._by_notation):
            query = rule()
            if query is not None:
                return query
        return self._words()

    def _by_form(self) -> Query | None:
        if is_molfile(self.text):
            return self._molfile()
        if "\n" in self.text:
            return None
        if re.match(r"InChI=1S?/|1S/[A-Z]", self.text):
            return self._inchi()
        key = notation.KEY.fullmatch(self.text)
        if key and (key.group(2) or (self.text.isupper() and not self.knows.known_name(self.text))):
            return self._inchikey()
        cas = notation.CAS.fullmatch(self.flat)
        if cas and notation.cas_checks(cas):
            return self._cas()
        return None

    def _by_knowledge(self) -> Query | None:
        if len(self.text) > 300:
            return None
        if self.knows.known_name(self.text) and not (
            notation.ONLY_SMILES.search(self.text) and notation.smiles_like(self.flat)
        ):
            return self._query("name")
        if self.knows.known_id(self.text):
            return self._query("id")
        return None

    def _by_notation(self) -> Query | None:
        first, _, rest = self.flat.partition(" ")
        if rest and not re.fullmatch(r"\d*[+-]|[+-]\d*", rest):
            return self._smiles_with_title(first, rest)
        if re.search(r"\s", first):
            return None
        for rule in (self._as_formula, self._as_smarts, self._as_smiles, self._as_wrong_case):
            query = rule()
            if query is not None:
                return query
        return None

    def _as_formula(self) -> Query | None:
        formula = formulas.parse(self.flat)
        return (
            self._formula(formula) if formula and (" " in self.flat or self._formula_first(formula)) else None
        )

    def _as_wrong_case(self) -> Query | None:
        formula = formulas.parse_any_case(self.flat)
        if formula is None or self.knows.known_word(self.text):
            return None
        return self._formula(formula, f"Read as {formula}: the case of the letters was guessed.")

    def _words(self) -> Query:
        words = re.findall(r"[^\W\d_][\w'\-]*", self.text)
        if not words:
            return self._query("prose")
        unknown = [word for word in words if not self.knows.known_word(word)]
        if unknown and len(words) <= 6 and len(self.text) <= 80:
            meant = self.knows.corrected_name(self.text)
            if meant is not None:
                return self._query("name", corrected=meant, notes=(f"Showing results for {meant}.",))
        if unknown and not re.search(r"\s", self.text):
            return self._query("name")
        return self._query("prose")

    # -- one kind each

    def forced(self, kind: str) -> Query:
        """Read as ``kind`` whatever it looks like; raises :class:`InputError` where that cannot be."""
        if kind in ("prose", "id"):
            return self._query(kind)
        if kind == "name":
            meant = None if self.knows.known_name(self.text) else self.knows.corrected_name(self.text)
            return self._query("name", corrected=meant)
        if kind == "formula":
            formula = formulas.parse(self.flat) or formulas.parse_any_case(self.flat)
            if formula is None:
                raise InputError(
                    "This is not a molecular formula.",
                    field="q",
                    remedy="Write it like C9H8O4, NH4+ or Ca(OH)2.",
                )
            return self._formula(formula)
        if kind == "smiles":
            return self._query("smiles", structure=self._read(self.flat.split()[0], "smiles"))
        if kind == "smarts":
            return self._query("smarts", pattern=read_pattern(self.flat, field="q", sandbox=self.sandbox))
        return {"inchi": self._inchi, "inchikey": self._inchikey, "molfile": self._molfile, "cas": self._cas}[
            kind
        ]()

    def _query(self, kind: str, **parts: object) -> Query:
        label = LABELS[kind]
        if parts.get("corrected"):
            label = f"{label}: {parts['corrected']}"
        return Query(self.text, kind, label, **parts)  # type: ignore[arg-type]

    def _read(self, text: str, form: str) -> Structure:
        return read_structure(text, form, field="q", sandbox=self.sandbox)

    def _formula(self, formula: Formula, *notes: str) -> Query:
        query = self._query("formula", formula=formula, notes=notes)
        return replace(query, label=f"{query.label}: {formula}") if str(formula) != self.text else query

    def _molfile(self) -> Query:
        block, ending, after = self.text.partition("M  END")
        notes: tuple[str, ...] = ()
        if re.search(r"V[23]000", after):
            notes = ("Only the first molecule of the pasted file was read.",)
        return self._query("molfile", structure=self._read(block + ending, "molfile"), notes=notes)

    def _inchi(self) -> Query:
        text = self.flat if self.flat.startswith("InChI=") else f"InChI={self.flat}"
        return self._query("inchi", structure=self._read(text, "inchi"))

    def _inchikey(self) -> Query:
        found = notation.KEY.fullmatch(self.flat)
        if found is None:
            raise InputError(
                "This is not an InChIKey.",
                field="q",
                remedy="It has 14, 10 and 1 capital letters with hyphens between; the first 14 alone will do.",
            )
        key = "-".join(block.upper() for block in found.groups() if block)
        query = self._query("inchikey", key=key)
        if found.group(3):
            return query
        return replace(
            query,
            label="read as the beginning of an InChIKey",
            notes=("Only the beginning of an InChIKey was given: stereo was not compared.",),
        )

    def _cas(self) -> Query:
        found = notation.CAS.fullmatch(self.flat)
        if found is None or not notation.cas_checks(found):
            raise InputError(
                "This is not a CAS number.", field="q", remedy="It looks like 50-78-2; check its last digit."
            )
        return self._query("cas", key="-".join(found.groups()))

    # -- formula or SMILES?

    def _formula_first(self, formula: Formula) -> bool:
        """Rule 4: whether a text that is a formula is meant as one."""
        text = self.flat
        symbols = re.findall(r"[A-Z][a-z]?", text)
        if len(symbols) == 1 and formula.charge is None and not any(c.isdigit() for c in text):
            return text not in ("C", "N", "O", "S", "P")
        if (
            notation.ONLY_SMILES.search(text)
            and notation.smiles_like(self.flat)
            and not re.search(r"\][\^]?\d*[+-]\d*$", text)
        ):
            return False
        repeated = len(set(symbols)) < len(symbols)
        if formula.charge is not None:
            return not (repeated and notation.smiles_like(self.flat))
        if any(c.isdigit() for c in text):
            return not (repeated and notation.smiles_like(self.flat))
        if repeated or self.knows.known_word(text):
            return False
        return text in _FAMILIAR or (any(len(s) == 2 for s in symbols) and not self._valid_smiles())

    def _valid_smiles(self) -> bool:
        if not notation.smiles_like(self.flat):
            return False
        try:
            self._read(self.flat, "smiles")
        except InputError:
            return False
        return True

    def _as_smiles(self) -> Query | None:
        """A SMILES; ``None`` when it is unreadable and may as well be a word or a name."""
        if not notation.smiles_like(self.flat):
            return None
        try:
            return self._query("smiles", structure=self._read(self.flat, "smiles"))
        except LimitError:
            raise
        except InputError as fault:
            marked = notation.ONLY_SMILES.search(self.flat) or "(" in self.flat
            ringed = len(self.flat) > 3 and re.search(r"[A-Za-z]\d", self.flat) and not self.flat.isupper()
            repeated = re.search(r"([CNOcno]).*\1", self.flat) and any(c.isdigit() for c in self.flat)
            if marked or ringed or repeated:
                if "as text" not in (fault.remedy or ""):
                    fault.remedy = f"{fault.remedy or ''} Or search for it as text.".strip()
                raise
            return None

    def _as_smarts(self) -> Query | None:
        if not (notation.SMARTS_ONLY.search(self.flat) and notation.OPEN_SMILES.match(self.flat)):
            return None
        try:
            return self._query("smarts", pattern=read_pattern(self.flat, field="q", sandbox=self.sandbox))
        except LimitError:
            raise
        except InputError:
            if notation.smiles_like(self.flat):
                raise
            return None

    def _smiles_with_title(self, first: str, rest: str) -> Query | None:
        """A line of a SMILES file: structure, blank, name."""
        if not notation.ONLY_SMILES.search(first) and not ("(" in first and re.search(r"\d", first)):
            return None
        if not notation.smiles_like(first):
            return None
        try:
            structure = self._read(first, "smiles")
        except InputError:
            return None
        return self._query("smiles", structure=structure, notes=(f"'{rest[:60]}' was taken for its name.",))

    # -- what else it could be

    def alternatives(self, query: Query) -> tuple[Reading, ...]:
        """The other readings of the text, likeliest first."""
        found: list[Reading] = []
        short = len(self.text) <= 100 and not re.search(r"\s", self.text)
        named = short and any(letter.isalpha() for letter in self.text)
        if query.kind != "name" and (self.knows.known_name(self.text) or (query.kind == "prose" and named)):
            found.append(Reading("name", _OFFERS["name"]))
        if query.kind != "formula" and short:
            formula = formulas.parse(self.flat) or formulas.parse_any_case(self.flat)
            if formula is not None:
                found.append(Reading("formula", _OFFERS["formula"].format(formula)))
        if query.kind not in ("smiles", "inchi", "molfile") and short and self._valid_smiles():
            structure = self._read(self.flat, "smiles")
            found.append(Reading("smiles", _OFFERS["smiles"].format(structure.formula)))
        if query.kind == "smiles" and short and notation.ONLY_SMILES.search(self.text):
            found.append(Reading("smarts", _OFFERS["smarts"]))
        if query.kind not in ("inchikey", "name") and re.fullmatch(r"[A-Z]{14}", self.text):
            found.append(Reading("inchikey", _OFFERS["inchikey"]))
        if query.kind not in ("prose", "molfile"):
            found.append(Reading("prose", _OFFERS["prose"]))
        return tuple(found)
