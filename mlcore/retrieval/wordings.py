"""Comparing texts with texts: the wordings of a library's descriptions in half precision, on FAISS."""

from __future__ import annotations

from typing import Any

import faiss as _faiss
import numpy as np

faiss: Any = _faiss  # its type stubs leave out what its Python wrappers add


class Wordings:
    """What the texts of a library say, one unit vector a text. Searching is safe from many threads.

    Half precision is what the library stores, so that nothing is lost by it, and a search, which is bound by memory,
    reads half as much.
    """

    def __init__(self, vectors: np.ndarray, owners: np.ndarray, size: int) -> None:
        """``vectors`` (m, width) float16; ``owners`` (m,) the row of each, ascending; ``size`` rows in the library."""
        self._vectors, self._owners = vectors, owners
        self._ends = np.searchsorted(owners, np.arange(size + 1))
        self._index = faiss.IndexScalarQuantizer(
            vectors.shape[1], faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
        )
        for start in range(0, len(vectors), 4096):
            self._index.add(vectors[start : start + 4096].astype(np.float32))

    def __len__(self) -> int:
        return len(self._owners)

    def has_text(self, rows: np.ndarray) -> np.ndarray:
        """Which of ``rows`` (n,) have a text, (n,) bool."""
        return self._ends[rows + 1] > self._ends[rows]

    def nearest(self, wording: np.ndarray, k: int, allowed: np.ndarray | None = None) -> np.ndarray:
        """The rows of the ``k`` texts nearest to ``wording`` (width,), each row once; ``allowed`` (size,) bool."""
        options = None
        if allowed is not None:
            bits = np.packbits(allowed[self._owners], bitorder="little")
            options = faiss.SearchParameters(sel=faiss.IDSelectorBitmap(bits))
        query = np.ascontiguousarray(wording[None], np.float32)
        _, found = self._index.search(query, min(k, len(self)), params=options)
        return np.unique(self._owners[found[0][found[0] >= 0]])

    def cosines(self, wording: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """The cosine of ``wording`` with the best text of each of ``rows`` (n,), (n,); ``-inf`` where there is none."""
        found = np.full(len(rows), -np.inf, np.float32)
        told = np.flatnonzero(self.has_text(rows))
        if len(told):
            starts, counts = self._ends[rows[told]], self._ends[rows[told] + 1] - self._ends[rows[told]]
            first = np.cumsum(counts) - counts
            numbers = np.repeat(starts - first, counts) + np.arange(counts.sum())
            found[told] = np.maximum.reduceat(self._vectors[numbers].astype(np.float32) @ wording, first)
        return found
