"""What a vector store promises, and the checks of input that every implementation makes.

Row numbers are given in order of addition and never again: the first vector added is row 0. Taking rows away
leaves the numbers of all others as they are. The same vector may be added any number of times; each addition
is a row of its own and all of them are found.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

#: what a search gives: scores (q, k') float32 and rows (q, k') int64
Found = tuple[np.ndarray, np.ndarray]


class VectorStore(Protocol):
    """Holds sentence-molecule vectors and nothing else. Searching is safe from many threads, changing is not."""

    @property
    def kind(self) -> str:
        """Name of the index, as in the manifest."""

    @property
    def dim(self) -> int:
        """Width of a vector."""

    @property
    def size(self) -> int:
        """How many row numbers have been given, those of removed rows included: masks are this long."""

    def add(self, vectors: np.ndarray) -> range:
        """Append ``vectors`` (n, dim), unit length, kept as float32; the n row numbers they got.

        ``ValueError`` for another width or a value that is not finite; nothing is added then.
        """

    def remove(self, rows: np.ndarray) -> None:
        """Take the rows numbered ``rows`` (m,) away for good: no search finds them again.

        All other rows keep their numbers. Removing a row twice changes nothing; ``IndexError`` for a number
        that was never given.
        """

    def search(self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None) -> Found:
        """The best ``k`` rows of each of ``queries`` (q, dim), best first: scores (q, k'), rows (q, k')
        int64.

        ``allowed`` restricts the rows: a bool mask (size,) or row numbers. ``k'`` is at most the number of
        allowed rows; where an approximate index finds fewer, the rest is row -1 with score ``-inf``.
        ``ValueError`` for queries of another width or with values that are not finite, and for a mask of
        another length or row numbers that were never given.
        """

    def vectors(self, indices: np.ndarray) -> np.ndarray:
        """The stored vectors of rows ``indices`` (m,): (m, dim) float32; ``IndexError`` when one is removed
        or was never there.
        """

    def close(self) -> None:
        """Give back what the store holds outside this object; it cannot be used afterwards."""


def checked_vectors(vectors: np.ndarray, dim: int) -> np.ndarray:
    """``vectors`` (n, dim) as contiguous float32, or ``ValueError``."""
    if vectors.ndim != 2 or vectors.shape[1] != dim:
        raise ValueError(f"vectors of shape {vectors.shape} do not fit a store of width {dim}")
    return _finite(np.ascontiguousarray(vectors, dtype=np.float32), "vector")


def checked_queries(queries: np.ndarray, dim: int) -> np.ndarray:
    """``queries`` (dim,) or (q, dim) as contiguous (q, dim) float32, or ``ValueError``."""
    queries = np.ascontiguousarray(np.atleast_2d(queries), dtype=np.float32)
    if queries.shape[1] != dim:
        raise ValueError(f"a query of width {queries.shape[1]} does not fit vectors of width {dim}")
    return _finite(queries, "query")


def _finite(values: np.ndarray, what: str) -> np.ndarray:
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
        raise ValueError(
            f"{what} {row} has values that are not finite (NaN or infinite): it cannot be compared"
        )
    return values


def allowed_rows(allowed: np.ndarray, size: int) -> np.ndarray:
    """The row numbers that ``allowed`` (a mask or numbers) lets through, ascending, each once, int64."""
    if allowed.dtype == bool:
        if allowed.shape != (size,):
            raise ValueError(f"a mask of shape {allowed.shape} does not fit a store of {size} rows")
        return np.flatnonzero(allowed)
    rows = np.unique(allowed).astype(np.int64)
    if len(rows) and (rows[0] < 0 or rows[-1] >= size):
        raise ValueError(f"allowed rows {rows[0]} to {rows[-1]} go beyond a store of {size} rows")
    return rows


def given_rows(rows: np.ndarray, size: int) -> np.ndarray:
    """``rows`` as contiguous int64; ``IndexError`` when one of these numbers was never given."""
    wanted = np.ascontiguousarray(rows, dtype=np.int64)
    if len(wanted) and (wanted.min() < 0 or wanted.max() >= size):
        bad = wanted[(wanted < 0) | (wanted >= size)][0]
        raise IndexError(f"there is no row {bad}: the store has given {size} row numbers")
    return wanted


def nothing(queries: np.ndarray) -> Found:
    """The answer to ``queries`` (q, dim) where no row can be found."""
    return np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)


def best_of(queries: np.ndarray, vectors: np.ndarray, rows: np.ndarray, k: int) -> Found:
    """The exact best ``k`` among ``rows`` (n,), whose vectors are ``vectors`` (n, dim), for ``queries`` (q, dim)."""
    scores = queries @ vectors.T
    if k < len(rows):
        best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        scores = np.take_along_axis(scores, best, axis=1)
    else:
        best = np.broadcast_to(np.arange(len(rows)), scores.shape)
    order = np.argsort(-scores, axis=1, kind="stable")
    return np.take_along_axis(scores, order, axis=1), rows[np.take_along_axis(best, order, axis=1)]
