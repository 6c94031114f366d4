"""The rows of a library: what is known of each molecule, in SQLite.

=============  ====================================================================================
table          holds
=============  ====================================================================================
rows           one molecule a row; ``idx`` is its position in every array of the library, from 0
synonyms       every name of a row as written and folded (:func:`fold`); ``main`` = 1 for its own name
descriptions   the texts of a row; ``vector`` is the position of its sentence vector
elements       symbol, row, number of atoms (hydrogens included)
refusals       the first refused records of the import: line, record, reason, text
journal        where the import stands (one row; kept after it is finished)
=============  ====================================================================================
"""

from __future__ import annotations

import json
import re
import sqlite3
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

#: the columns of ``rows`` that :attr:`MoleculeRow.properties` carries, each with an index
PROPERTIES = (
    "logp", "tpsa", "hbd", "hba", "rings", "charge", "stereocentres", "heavy_atoms", "rotatable",
)  # fmt: skip

SCHEMA = """
CREATE TABLE rows (
    idx INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, smiles TEXT NOT NULL,
    canonical_smiles TEXT NOT NULL, standard_smiles TEXT NOT NULL, identity TEXT NOT NULL UNIQUE,
    inchikey TEXT NOT NULL, parent_inchikey TEXT NOT NULL, tautomer_key TEXT NOT NULL,
    formula TEXT NOT NULL, weight REAL NOT NULL, exact_mass REAL NOT NULL,
    logp REAL NOT NULL, tpsa REAL NOT NULL, hbd INTEGER NOT NULL, hba INTEGER NOT NULL,
    rings INTEGER NOT NULL, charge INTEGER NOT NULL, stereocentres INTEGER NOT NULL,
    heavy_atoms INTEGER NOT NULL, rotatable INTEGER NOT NULL, source TEXT NOT NULL,
    category TEXT NOT NULL, standardisation TEXT NOT NULL
);
CREATE TABLE synonyms (row INTEGER NOT NULL, name TEXT NOT NULL, folded TEXT NOT NULL,
    main INTEGER NOT NULL, UNIQUE (row, name));
CREATE TABLE descriptions (vector INTEGER PRIMARY KEY, row INTEGER NOT NULL, text TEXT NOT NULL,
    UNIQUE (row, text));
CREATE TABLE elements (symbol TEXT NOT NULL, row INTEGER NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (symbol, row)) WITHOUT ROWID;
CREATE TABLE refusals (line INTEGER NOT NULL, record INTEGER NOT NULL, reason TEXT NOT NULL,
    raw TEXT NOT NULL);
CREATE TABLE journal (settings TEXT NOT NULL, state TEXT NOT NULL);
"""

_KEYS = ("inchikey", "parent_inchikey", "tautomer_key", "formula", "weight", "exact_mass", "category")

#: made once all rows are in
INDEXES = (
    "CREATE INDEX IF NOT EXISTS synonyms_folded ON synonyms (folded)",
    *(f"CREATE INDEX IF NOT EXISTS rows_{column} ON rows ({column})" for column in (*_KEYS, *PROPERTIES)),
)

_COLUMNS = (
    "idx", "id", "name", "smiles", "standard_smiles", "inchikey", "formula", "weight", "exact_mass",
    *PROPERTIES, "source", "category", "standardisation", "canonical_smiles", "parent_inchikey",
    "tautomer_key",
)  # fmt: skip
_BATCH = 500


@dataclass(frozen=True)
class MoleculeRow:
    """One molecule of a library. Masses in dalton, TPSA in square angstrom, logP after Crippen."""

    id: str
    name: str
    smiles: str  # as uploaded
    standard_smiles: str  # the parent: counter-ions removed, neutralised
    inchikey: str  # of the molecule as uploaded; empty where InChI cannot express it (dummy atoms)
    formula: str
    weight: float
    exact_mass: float
    descriptions: tuple[str, ...]
    synonyms: tuple[str, ...]
    source: str
    category: str
    properties: Mapping[str, float]  # PROPERTIES
    standardisation: tuple[str, ...]  # the steps from ``smiles`` to ``standard_smiles``, in words
    canonical_smiles: str = ""
    parent_inchikey: str = ""
    tautomer_key: str = ""  # equal for all tautomers and protonation states of one parent


def fold(name: str) -> str:
    """A name as it is compared: no case, no accents, no punctuation or spaces (``"(-)-Menthol"`` ->
    ``menthol``).

    Digits, Greek letters and primes that tell compounds apart stay: ``"2,4'-DDT"`` -> ``24'ddt``.
    """
    plain = unicodedata.normalize("NFKD", name.casefold())
    plain = plain.replace("\u2032", "'").replace("\u2019", "'")
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    folded = re.sub(r"[^\w']|_", "", plain)
    return folded or re.sub(r"\s+", "", plain)


def connect(path: Path) -> sqlite3.Connection:
    """A read-only connection that threads may share; the file must not change while it is open."""
    uri = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
    connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
    connection.execute(
        "SELECT 1 FROM rows LIMIT 1"
    ).fetchone()  # opens the file now, not at the first question
    return connection


def read_rows(connection: sqlite3.Connection, indices: Sequence[int]) -> list[MoleculeRow]:
    """The rows at ``indices``, in that order; ``IndexError`` for a position that is not there."""
    found: dict[int, sqlite3.Row] = {}
    names: dict[int, list[str]] = {}
    texts: dict[int, list[str]] = {}
    wanted = [int(index) for index in dict.fromkeys(indices)]
    for start in range(0, len(wanted), _BATCH):
        part = wanted[start : start + _BATCH]
        marks = ",".join("?" * len(part))
        query = f"SELECT {','.join(_COLUMNS)} FROM rows WHERE idx IN ({marks})"  # noqa: S608 - only marks
        for values in connection.execute(query, part):
            found[values[0]] = values
        query = f"SELECT row, name FROM synonyms WHERE main = 0 AND row IN ({marks}) ORDER BY rowid"  # noqa: S608
        for row, name in connection.execute(query, part):
            names.setdefault(row, []).append(name)
        query = f"SELECT row, text FROM descriptions WHERE row IN ({marks}) ORDER BY vector"  # noqa: S608
        for row, text in connection.execute(query, part):
            texts.setdefault(row, []).append(text)
    missing = [index for index in wanted if index not in found]
    if missing:
        raise IndexError(f"the library has no row {missing[0]}")
    return [_row(found[int(i)], names.get(int(i), []), texts.get(int(i), [])) for i in indices]


def _row(values: Sequence[object], names: Iterable[str], texts: Iterable[str]) -> MoleculeRow:
    v = dict(zip(_COLUMNS, values, strict=True))
    properties = MappingProxyType({name: float(str(v[name])) for name in PROPERTIES})
    text = {name: str(v[name]) for name in _COLUMNS if name not in properties}
    return MoleculeRow(
        id=text["id"],
        name=text["name"],
        smiles=text["smiles"],
        standard_smiles=text["standard_smiles"],
        inchikey=text["inchikey"],
        formula=text["formula"],
        weight=float(text["weight"]),
        exact_mass=float(text["exact_mass"]),
        descriptions=tuple(texts),
        synonyms=tuple(names),
        source=text["source"],
        category=text["category"],
        properties=properties,
        standardisation=tuple(json.loads(text["standardisation"])),
        canonical_smiles=text["canonical_smiles"],
        parent_inchikey=text["parent_inchikey"],
        tautomer_key=text["tautomer_key"],
    )
