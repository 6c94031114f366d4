"""A library: molecules with their rows, vectors, motifs, atoms and fingerprints in one folder, ready to be
searched.

========================================================  =================================================
file                                                      holds
========================================================  =================================================
manifest.json                                             schema, model, counts, index, sizes and hashes
rows.sqlite                                               :mod:`mlcore.retrieval.rows`
vectors.faiss                                             sentence-molecule vectors, unless the manifest says
                                                          that they are in Milvus (:mod:`.vectors`)
motifs.npy, motif_scales.npy, motif_offsets.npy           ragged motif vectors (:mod:`.arrays`)
atoms.npy, atom_scales.npy, atom_offsets.npy              ragged atom vectors, int8
morgan.npy, patterns.npy                                  fingerprints (:mod:`.descriptors`)
descriptions.npy, description_owners.npy                  sentence vectors of the rows' texts, and whose
wordings.npy                                              vectors of the same texts to compare texts with, float16
refused.smi / .sdf / .csv / .tsv                          records that were not used, to mend
========================================================  =================================================

A folder is written by :func:`mlcore.retrieval.importer.build` and never changed afterwards; all reading is
safe from many threads, also while a new build replaces the folder on the disk.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from mlcore.retrieval.arrays import RaggedArray, load_array
from mlcore.retrieval.encoding import MoleculeEncoding
from mlcore.retrieval.importer import ImportReport, Refusal, build
from mlcore.retrieval.manifest import check_files, read_manifest
from mlcore.retrieval.rows import MoleculeRow, connect, read_rows
from mlcore.retrieval.vectors.placement import open_store
from mlcore.retrieval.vectors.protocol import VectorStore
from mlcore.runtime.errors import LibraryError

__all__ = ["ImportReport", "Library", "MoleculeRow", "Refusal", "build"]

_CONNECTIONS = 4
#: how often opening starts over because the folder was replaced meanwhile
_SWAPS = 20


class Library:
    """One opened library folder. Row numbers run from 0 to ``size - 1`` and are the same in every array."""

    def __init__(self, folder: Path, manifest: dict[str, Any]) -> None:
        self.folder = folder
        self.manifest = manifest
        self.id: str = manifest["id"]
        self.name: str = manifest["name"]
        self.size: int = manifest["rows"]
        self.fingerprint: str = manifest["fingerprint"]
        self.model_fingerprint: str = manifest["model"]
        self.store: VectorStore = open_store(folder, manifest)
        self._motifs = RaggedArray.open(folder, "motif")
        self._atoms = RaggedArray.open(folder, "atom")
        self._morgan = load_array(folder / "morgan.npy", mmap_mode="r")
        self._patterns = load_array(folder / "patterns.npy", mmap_mode="r")
        self._descriptions = load_array(folder / "descriptions.npy", mmap_mode="r")
        self._wordings = load_array(folder / "wordings.npy", mmap_mode="r")
        self._owners = load_array(folder / "description_owners.npy")
        # all opened now: after a swap the path leads to another library, these still lead to this one
        self._connections = [connect(folder / "rows.sqlite") for _ in range(_CONNECTIONS)]
        self._turn = itertools.count()

    @classmethod
    def open(cls, folder: str | Path, *, model_fingerprint: str | None = None) -> Self:
        """Open ``folder``.

        Raises :class:`LibraryError`, saying how to rebuild, when the folder is missing or damaged, has
        another schema, or (with ``model_fingerprint``) was built by another model.
        """
        folder = Path(folder)
        for _ in range(_SWAPS):
            before = _inode(folder)
            try:
                library = cls._open(folder, model_fingerprint)
            except LibraryError:
                if _inode(folder) == before:
                    raise
                continue
            if _inode(folder) == before:
                return library
            library.close()  # a new library took the place meanwhile: some files are of the one, some of the other
        raise LibraryError(f"The library in {folder} is being replaced again and again; try once more.")

    @classmethod
    def _open(cls, folder: Path, model_fingerprint: str | None) -> Self:
        manifest = read_manifest(folder)
        check_files(folder, manifest)
        if model_fingerprint is not None and manifest["model"] != model_fingerprint:
            raise LibraryError(
                f"The library '{manifest['name']}' was built by another model ({manifest['model'][:12]}) than the one "
                f"in use ({model_fingerprint[:12]}): their vectors cannot be compared. {_remedy(folder, manifest)}"
            )
        try:
            library = cls(folder, manifest)
        except (OSError, ValueError, sqlite3.Error) as fault:
            raise LibraryError(
                f"The library in {folder} is damaged: {fault}. {_remedy(folder, manifest)}"
            ) from fault
        library._check_sizes()
        return library

    def _check_sizes(self) -> None:
        counted = {
            "the vector store": self.store.size,
            "motif_offsets.npy": len(self._motifs.offsets) - 1,
            "atom_offsets.npy": len(self._atoms.offsets) - 1,
            "morgan.npy": len(self._morgan),
            "patterns.npy": len(self._patterns),
        }
        for file, rows in counted.items():
            if rows != self.size:
                raise LibraryError(
                    f"The library in {self.folder} is damaged: {file} holds {rows} rows, the manifest says "
                    f"{self.size}. {_remedy(self.folder, self.manifest)}"
                )

    def __len__(self) -> int:
        return self.size

    def close(self) -> None:
        """Close the database connections and the vector store (memory maps go with the object)."""
        for connection in self._connections:
            connection.close()
        self.store.close()

    def sql(self) -> sqlite3.Connection:
        """A read-only connection to ``rows.sqlite`` (tables in :mod:`mlcore.retrieval.rows`).

        Connections are shared between threads in SQLite's serialised mode: take a fresh cursor
        (``sql().execute(...)``) and neither close the connection nor set its ``row_factory``.
        """
        return self._connections[next(self._turn) % _CONNECTIONS]

    def row(self, index: int) -> MoleculeRow:
        """The molecule at ``index``; ``IndexError`` when there is none."""
        return self.rows([index])[0]

    def rows(self, indices: Sequence[int] | np.ndarray) -> list[MoleculeRow]:
        """The molecules at ``indices``, in that order; ``IndexError`` when one is not there."""
        return read_rows(self.sql(), [int(index) for index in indices])

    def index_of(self, identifier: str) -> int:
        """The row number of the molecule called ``identifier``; ``KeyError`` when there is none."""
        found = self.sql().execute("SELECT idx FROM rows WHERE id = ?", (identifier,)).fetchone()
        if found is None:
            raise KeyError(f"the library '{self.name}' has no molecule with the id '{identifier}'")
        return int(found[0])

    def nearest(
        self, vectors: np.ndarray, k: int, allowed: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The ``k`` rows nearest to each of ``vectors`` (q, dim), best first: scores (q, k'), rows (q, k')
        int64.

        ``allowed``: bool mask (size,) or row numbers to choose from. ``k'`` = min(k, allowed rows); where an
        approximate index finds fewer, the rest is row -1 with score ``-inf``. Scores are inner products
        (cosines).
        """
        return self.store.search(vectors, k, allowed)

    def vectors(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Sentence-molecule vectors of the rows ``indices`` (m,): (m, dim) float32."""
        return self.store.vectors(np.asarray(indices, dtype=np.int64))

    def encoding(self, indices: Sequence[int] | np.ndarray) -> MoleculeEncoding:
        """Everything the re-ranker needs of the rows ``indices`` (m,), motif and atom vectors dequantised.

        Atoms are in the order of RDKit's reading of ``MoleculeRow.smiles``.
        """
        chosen = np.asarray(indices, dtype=np.int64)
        motifs, motif_offsets = self._motifs.take(chosen)
        atoms, atom_offsets = self._atoms.take(chosen)
        return MoleculeEncoding(self.vectors(chosen), motifs, motif_offsets, atoms, atom_offsets)

    def fingerprints(self) -> np.ndarray:
        """Morgan bits of all rows, (size, 256) uint8: bit ``i`` is bit ``i % 8`` of byte ``i // 8``;
        memory-mapped.
        """
        return self._morgan

    def pattern_fingerprints(self) -> np.ndarray:
        """RDKit PatternFingerprint bits of all rows, packed like :meth:`fingerprints`; memory-mapped."""
        return self._patterns

    @property
    def wordings(self) -> np.ndarray:
        """The text-to-text channel: (m, width) float16, unit length; owned as :attr:`description_vectors`."""
        return self._wordings

    @property
    def description_vectors(self) -> tuple[np.ndarray, np.ndarray]:
        """Sentence vectors (m, dim) float32 of the rows' texts, comparable with molecules, and their rows (m,)
        int64.
        """
        return self._descriptions, self._owners

    @cached_property
    def refused_file(self) -> Path | None:
        """The refused records as a file to mend, if there were any."""
        name = self.manifest.get("refused_file")
        return self.folder / name if name else None


def _inode(folder: Path) -> tuple[int, int] | None:
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _remedy(folder: Path, manifest: dict[str, Any]) -> str:
    file = manifest["source"]["file"]
    return f"Rebuild it: python -m mlcore index --model DIR --molecules {file} --out {folder}"
