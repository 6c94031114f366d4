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
import unicodedata
from dataclasses import dataclass, replace
from typing import Protocol

from mlcore.retrieval import formula as formulas
from mlcore.retrieval.formula import Formula
from mlcore.retrieval.structure import Pattern, Structure, read_pattern, read_structure
from mlcore.runtime.errors import InputError, LimitError
from mlcore.runtime.sandbox import Sandbox

#: the longest text in bytes, and the longest molfile
LONGEST = 20_000
LONGEST_MOLFILE = 100_000
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
_KEY = re.compile(r"(?:InChIKey=)?([A-Z]{14})(?:-([A-Z]{8}[SNO][A-Z])(?:-([A-Z]))?)?", re.IGNORECASE)
_CAS = re.compile(r"(?:CAS(?:\s?(?:RN|No\.?|number))?:?\s*)?(\d{2,7})-(\d{2})-(\d)", re.IGNORECASE)
_SMILES = re.compile(r"(?:Br|Cl|[BCNOPSFI]|[bcnops]|\[[^\[\]\s]+\]|[-=#$:/\\.~*()]|%\d\d|\d)+")
_OPEN_SMILES = re.compile(r"(?:Br|Cl|[BCNOPSFI]|[bcnops]|[\[\]@+HA-Za-z0-9]|[-=#$:/\\.~*()]|%)+")
_ONLY_SMILES = re.compile(r"[=#@\[\]\\]|[A-Za-z\])]/[A-Za-z\[(]")
_SMARTS_ONLY = re.compile(r"\[[^\]]*(?:[!;,&]|#\d|\$\(|\^\d|[DXRrvxHh]\d)|~|\$\(")
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
    ``read_as``, and :class:`LimitError` above :data:`LONGEST` bytes (:data:`LONGEST_MOLFILE` for a molfile).
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


def clean(text: str, *, molfile: bool = False) -> tuple[str, list[str]]:
    """``text`` without control and invisible characters, in Unicode form NFKC, and notes on what was left
    out.

    The layout of a molfile is kept. Raises as :func:`understand`.
    """
    size = len(text.encode("utf-8", "replace"))
    molfile = molfile or _is_molfile(text)
    limit = LONGEST_MOLFILE if molfile else LONGEST
    if size > limit:
        raise LimitError(
            f"The query is {size:,} bytes long; {limit:,} is the limit.",
            field="q",
            remedy="Search with a sentence or one structure; look up long lists as a batch.",
        )
    kept = []
    control = invisible = 0
    for letter in text.replace("\r\n", "\n").replace("\r", "\n"):
        category = unicodedata.category(letter)
        if (category == "Cc" and letter not in "\n\t") or category in ("Cs", "Co", "Cn"):
            control += 1
        elif category == "Cf" and letter not in "\u200c\u200d":  # joiners shape letters and emoji
            invisible += 1
        else:
            kept.append(letter)
    notes = []
    if control:
        notes.append(f"{control} control character{'s were' if control > 1 else ' was'} left out.")
    if invisible:
        notes.append(f"{invisible} invisible character{'s were' if invisible > 1 else ' was'} left out.")
    cleaned = "".join(kept)
    cleaned = (
        cleaned.strip("\n") if molfile and cleaned.strip() else unicodedata.normalize("NFKC", cleaned).strip()
    )
    if molfile:
        cleaned = "".join(kept).rstrip()
    if (
        len(cleaned) > 1
        and cleaned[0] == cleaned[-1]
        and cleaned[0] in "\"'"
        and cleaned[0] not in cleaned[1:-1]
    ):
        cleaned = cleaned[1:-1].strip()
    if not cleaned.strip():
        raise InputError(
            "There is nothing to search for.",
            field="q",
            remedy="Type a description, a name, a formula or a structure.",
        )
    return cleaned, notes


def _is_molfile(text: str) -> bool:
    return "\n" in text.replace("\r", "\n").strip() and (
        "M  END" in text or re.search(r"V[23]000", text) is not None
    )


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
        if _is_molfile(self.text):
            return self._molfile()
        if "\n" in self.text:
            return None
        if re.match(r"InChI=1S?/|1S/[A-Z]", self.text):
            return self._inchi()
        key = _KEY.fullmatch(self.text)
        if key and (key.group(2) or (self.text.isupper() and not self.knows.known_name(self.text))):
            return self._inchikey()
        cas = _CAS.fullmatch(self.flat)
        if cas and _check_digit(cas.group(1) + cas.group(2)) == int(cas.group(3)):
            return self._cas()
        return None

    def _by_knowledge(self) -> Query | None:
        if len(self.text) > 300:
            return None
        if self.knows.known_name(self.text) and not (_ONLY_SMILES.search(self.text) and self._smiles_like()):
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
        found = _KEY.fullmatch(self.flat)
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
        found = _CAS.fullmatch(self.flat)
        if found is None or _check_digit(found.group(1) + found.group(2)) != int(found.group(3)):
            raise InputError(
                "This is not a CAS number.", field="q", remedy="It looks like 50-78-2; check its last digit."
            )
        return self._query("cas", key="-".join(found.groups()))

    # -- formula or SMILES?

    def _smiles_like(self) -> bool:
        """Every character belongs to SMILES; lower-case (aromatic) atoms only together with ring numbers."""
        if _ONLY_SMILES.search(self.flat) and _OPEN_SMILES.fullmatch(self.flat):
            outside = re.sub(r"\[[^\[\]\s]*\]?", "", self.flat)
            return re.search(r"[A-Za-z\[]", self.flat) is not None and (not outside or self._tokens(outside))
        return self._tokens(self.flat)

    def _tokens(self, text: str) -> bool:
        if not _SMILES.fullmatch(text):
            return False
        if text == self.flat and not re.search(r"[A-Za-z\[]", text):
            return False
        bare = re.sub(r"Br|Cl|\[[^\]]*\]", "", text)
        return not re.search(r"[bcnops]", bare) or re.search(r"\d", text) is not None

    def _formula_first(self, formula: Formula) -> bool:
        """Rule 4: whether a text that is a formula is meant as one."""
        text = self.flat
        symbols = re.findall(r"[A-Z][a-z]?", text)
        if len(symbols) == 1 and formula.charge is None and not any(c.isdigit() for c in text):
            return text not in ("C", "N", "O", "S", "P")
        if _ONLY_SMILES.search(text) and self._smiles_like() and not re.search(r"\][\^]?\d*[+-]\d*$", text):
            return False
        repeated = len(set(symbols)) < len(symbols)
        if formula.charge is not None:
            return not (repeated and self._smiles_like())
        if any(c.isdigit() for c in text):
            return not (repeated and self._smiles_like())
        if repeated or self.knows.known_word(text):
            return False
        return text in _FAMILIAR or (any(len(s) == 2 for s in symbols) and not self._valid_smiles())

    def _valid_smiles(self) -> bool:
        if not self._smiles_like():
            return False
        try:
            self._read(self.flat, "smiles")
        except InputError:
            return False
        return True

    def _as_smiles(self) -> Query | None:
        """A SMILES; ``None`` when it is unreadable and may as well be a word or a name."""
        if not self._smiles_like():
            return None
        try:
            return self._query("smiles", structure=self._read(self.flat, "smiles"))
        except LimitError:
            raise
        except InputError as fault:
            marked = _ONLY_SMILES.search(self.flat) or "(" in self.flat
            ringed = len(self.flat) > 3 and re.search(r"[A-Za-z]\d", self.flat) and not self.flat.isupper()
            repeated = re.search(r"([CNOcno]).*\1", self.flat) and any(c.isdigit() for c in self.flat)
            if marked or ringed or repeated:
                if "as text" not in (fault.remedy or ""):
                    fault.remedy = f"{fault.remedy or ''} Or search for it as text.".strip()
                raise
            return None

    def _as_smarts(self) -> Query | None:
        if not (_SMARTS_ONLY.search(self.flat) and _OPEN_SMILES.match(self.flat)):
            return None
        try:
            return self._query("smarts", pattern=read_pattern(self.flat, field="q", sandbox=self.sandbox))
        except LimitError:
            raise
        except InputError:
            if self._smiles_like():
                raise
            return None

    def _smiles_with_title(self, first: str, rest: str) -> Query | None:
        """A line of a SMILES file: structure, blank, name."""
        if not _ONLY_SMILES.search(first) and not ("(" in first and re.search(r"\d", first)):
            return None
        inner = _Reader(first, self.knows, self.sandbox)
        if not inner._smiles_like():
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
        if query.kind == "smiles" and short and _ONLY_SMILES.search(self.text):
            found.append(Reading("smarts", _OFFERS["smarts"]))
        if query.kind not in ("inchikey", "name") and re.fullmatch(r"[A-Z]{14}", self.text):
            found.append(Reading("inchikey", _OFFERS["inchikey"]))
        if query.kind not in ("prose", "molfile"):
            found.append(Reading("prose", _OFFERS["prose"]))
        return tuple(found)


def _check_digit(digits: str) -> int:
    """The check digit of a CAS number without it."""
    return sum(place * int(digit) for place, digit in enumerate(reversed(digits), start=1)) % 10
