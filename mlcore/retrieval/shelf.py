"""A library made ready for searching: columns, names, words and keys in memory beside its files on the disk.

Built once when a library is first searched: about three seconds for 30,000 molecules with texts, 0.1 s for
1,000.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from mlcore.retrieval import formula
from mlcore.retrieval.lexical import LexicalIndex
from mlcore.retrieval.names import NameIndex
from mlcore.retrieval.wordings import Wordings

if TYPE_CHECKING:
    from mlcore.retrieval.library import Library

#: the numbers that can be filtered and sorted by
NUMBERS = (
    "weight", "exact_mass", "logp", "tpsa", "hbd", "hba", "rings", "charge", "stereocentres", "heavy_atoms",
    "rotatable",
)  # fmt: skip
#: patterns whose rows are remembered
_REMEMBERED = 64
#: everything that is read or built once
_IN_MEMORY = (
    "columns", "keys", "titles", "categories", "formulas", "elements", "names", "renown", "lexical",
    "description_vectors", "wordings",
)  # fmt: skip


class Shelf:
    """A :class:`Library` with what searching it needs. Safe for many threads once :meth:`warm` has returned."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.size = library.size
        self._lock = Lock()
        #: which rows contain a pattern, for the latest patterns
        self.contained: dict[tuple[str, str, bool], np.ndarray] = {}

    def warm(self) -> None:
        """Build every index now."""
        with self._lock:
            for part in _IN_MEMORY:
                getattr(self, part)

    def remember(self, key: tuple[str, str, bool], rows: np.ndarray) -> None:
        """Keep which ``rows`` (size,) bool contain a pattern; the oldest is forgotten."""
        with self._lock:
            if len(self.contained) >= _REMEMBERED:
                self.contained.pop(next(iter(self.contained)))
            self.contained[key] = rows

    def _rows(self, sql: str) -> Iterator[tuple]:
        connection: sqlite3.Connection = self.library.sql()
        cursor = connection.execute(sql)
        while batch := cursor.fetchmany(2000):
            yield from batch

    @cached_property
    def columns(self) -> dict[str, np.ndarray]:
        """The :data:`NUMBERS` of all rows, (size,) float64 each."""
        table = np.empty((self.size, len(NUMBERS)), np.float64)
        query = f"SELECT {', '.join(NUMBERS)} FROM rows ORDER BY idx"  # noqa: S608 - fixed names
        for place, values in enumerate(self._rows(query)):
            table[place] = values
        return {name: np.ascontiguousarray(table[:, i]) for i, name in enumerate(NUMBERS)}

    @cached_property
    def keys(self) -> np.ndarray:
        """InChIKeys of all rows (``id:...`` where there is none), (size,) object: what makes two rows the same."""
        return np.array(
            [
                key or f"id:{identity}"
                for key, identity in self._rows("SELECT inchikey, id FROM rows ORDER BY idx")
            ],
            dtype=object,
        )

    @cached_property
    def titles(self) -> np.ndarray:
        """Folded names of all rows for sorting, (size,) object."""
        return np.array(
            [name.casefold() for (name,) in self._rows("SELECT name FROM rows ORDER BY idx")], dtype=object
        )

    @cached_property
    def categories(self) -> np.ndarray:
        """Categories of all rows, (size,) object, empty where there is none."""
        return np.array(
            [value for (value,) in self._rows("SELECT category FROM rows ORDER BY idx")], dtype=object
        )

    @cached_property
    def formulas(self) -> dict[str, list[tuple[int, int]]]:
        """Rows and charges of each formula by its Hill key."""
        found: dict[str, list[tuple[int, int]]] = {}
        for row, (text,) in enumerate(self._rows("SELECT formula FROM rows ORDER BY idx")):
            hill, charge = formula.key(text)
            found.setdefault(hill, []).append((row, charge))
        return found

    @cached_property
    def elements(self) -> dict[str, np.ndarray]:
        """For each element the rows that contain it, (size,) bool."""
        found: dict[str, np.ndarray] = {}
        for symbol, row in self._rows("SELECT symbol, row FROM elements"):
            if symbol not in found:
                found[symbol] = np.zeros(self.size, bool)
            found[symbol][row] = True
        return found

    @cached_property
    def names(self) -> NameIndex:
        """All names and synonyms."""
        return NameIndex(
            (row, name, bool(main))
            for row, name, main in self._rows("SELECT row, name, main FROM synonyms ORDER BY rowid")
        )

    @cached_property
    def renown(self) -> np.ndarray:
        """Number of names of each row, (size,) int32: a well-known molecule has many."""
        counts = np.zeros(self.size, np.int32)
        for row, number in self._rows("SELECT row, COUNT(*) FROM synonyms GROUP BY row"):
            counts[row] = number
        return counts

    @cached_property
    def lexical(self) -> LexicalIndex:
        """The words of names, synonyms, categories and descriptions."""
        return LexicalIndex(self._fields(), self.size)

    def _fields(self) -> Iterable[tuple[int, str, str]]:
        for row, name, main in self._rows("SELECT row, name, main FROM synonyms ORDER BY rowid"):
            yield row, "name" if main else "synonym", name
        for row, category in self._rows("SELECT idx, category FROM rows WHERE category != '' ORDER BY idx"):
            yield row, "category", category
        for row, text in self._rows("SELECT row, text FROM descriptions ORDER BY vector"):
            yield row, "text", text

    @cached_property
    def description_vectors(self) -> tuple[np.ndarray, np.ndarray]:
        """Sentence vectors of the rows' texts in memory, (m, dim) float32, and the row of each, (m,), ascending."""
        vectors, owners = self.library.description_vectors
        order = self.description_numbers
        return np.ascontiguousarray(vectors[order]), np.asarray(owners)[order]

    @cached_property
    def wordings(self) -> Wordings:
        """For comparing texts with texts."""
        order = self.description_numbers
        return Wordings(self.library.wordings[order], self.description_vectors[1], self.size)

    @cached_property
    def description_numbers(self) -> np.ndarray:
        """The number in the library's files of each of :attr:`description_vectors`, (m,)."""
        return np.argsort(self.library.description_vectors[1], kind="stable")

    def smiles(self, rows: np.ndarray) -> list[str]:
        """Canonical SMILES of ``rows`` (ascending), in that order."""
        found: list[str] = []
        connection = self.library.sql()
        for start in range(0, len(rows), 500):
            part = [int(row) for row in rows[start : start + 500]]
            marks = ",".join("?" * len(part))
            query = f"SELECT canonical_smiles FROM rows WHERE idx IN ({marks}) ORDER BY idx"  # noqa: S608 - marks only
            found.extend(text for (text,) in connection.execute(query, part))
        return found

    def with_key(self, column: str, value: str) -> list[int]:
        """Rows whose ``column`` (``inchikey``, ``parent_inchikey``, ``tautomer_key``) is ``value``."""
        if column not in {"inchikey", "parent_inchikey", "tautomer_key"}:
            raise ValueError(f"{column} is no key of a library")
        query = f"SELECT idx FROM rows WHERE {column} = ? ORDER BY idx"  # noqa: S608 - one of three names
        return [row for (row,) in self.library.sql().execute(query, (value,))]

    def with_skeleton(self, beginning: str) -> list[int]:
        """Rows whose InChIKey begins with ``beginning`` (whole blocks, without the last hyphen)."""
        query = "SELECT idx FROM rows WHERE inchikey >= ? AND inchikey < ? ORDER BY idx"
        return [row for (row,) in self.library.sql().execute(query, (f"{beginning}-", f"{beginning}."))]
