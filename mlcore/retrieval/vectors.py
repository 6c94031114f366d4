"""The vector store of a library: nearest neighbours by inner product, on FAISS.

The kind of index is chosen by the number of rows (:class:`IndexPolicy`) and named in the library's manifest:

========================  ============  =======================================
rows                      kind          search
========================  ============  =======================================
fewer than 50,000         ``Flat``      exact
50,000 to 5 million       ``HNSW32``    approximate, graph in memory
5 million and more        ``IVF<n>``    approximate, inverted lists
========================  ============  =======================================

FAISS and torch each bring their own OpenMP; torch is loaded first, always here, and FAISS' threads are set
explicitly before every call because OpenMP keeps that number per thread.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np

# isort: off
import torch  # noqa: F401 - its OpenMP must be in the process before that of FAISS
import faiss as _faiss

# isort: on

from mlcore.runtime.errors import LibraryError

#: below this many allowed rows an exact scan of them beats walking a graph past everything else (measured)
EXACT_BELOW = 10_000
_BLOCK = 65_536
faiss: Any = _faiss  # its type stubs leave out what its Python wrappers add


@dataclass(frozen=True)
class IndexPolicy:
    """From how many rows on each approximate kind of index is used, and how hard it searches."""

    hnsw_from: int = 50_000
    ivf_from: int = 5_000_000
    ef_construction: int = 120
    ef_search: int = 160
    probes: int = 64

    def kind(self, rows: int) -> str:
        """The kind of index for ``rows`` rows, as a FAISS factory string."""
        if rows < self.hnsw_from:
            return "Flat"
        if rows < self.ivf_from:
            return "HNSW32"
        lists = max(1, min(int(4 * rows**0.5), rows // 39))
        return f"IVF{lists}"


class VectorStore(Protocol):
    """Holds sentence-molecule vectors and nothing else; row numbers are positions in order of addition."""

    @property
    def kind(self) -> str:
        """Name of the index, as in the manifest."""

    @property
    def dim(self) -> int:
        """Width of a vector."""

    @property
    def size(self) -> int:
        """Number of vectors."""

    def add(self, vectors: np.ndarray) -> None:
        """Append ``vectors`` (n, dim) float32, unit length."""

    def search(
        self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The best ``k`` rows of each of ``queries`` (q, dim), best first: scores (q, k'), rows (q, k')
        int64.

        ``allowed`` restricts the rows: a bool mask (size,) or row numbers. ``k'`` is at most the number of
        allowed rows; where an approximate index finds fewer, the rest is row -1 with score ``-inf``.
        """

    def vectors(self, indices: np.ndarray) -> np.ndarray:
        """The stored vectors of rows ``indices`` (m,): (m, dim) float32."""

    def save(self, path: Path) -> None:
        """Write the store to ``path``."""

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a store that :meth:`save` wrote."""


def search_threads() -> int:
    """Threads of one search: ``FERRY_FAISS_THREADS`` or 1, which serves many clients at once best."""
    return max(1, int(os.environ.get("FERRY_FAISS_THREADS", "1")))


class FaissVectorStore:
    """A :class:`VectorStore` on one FAISS index. Searching is safe from many threads, adding is not."""

    def __init__(self, index: Any, policy: IndexPolicy | None = None) -> None:
        self._index = index
        self._policy = policy or IndexPolicy()
        ivf = faiss.try_extract_index_ivf(index)
        self._ivf = ivf is not None
        if ivf is not None:
            ivf.nprobe = min(self._policy.probes, ivf.nlist)
            if index.ntotal:
                ivf.make_direct_map()
        self._hnsw = isinstance(index, faiss.IndexHNSW)

    @classmethod
    def build(
        cls, vectors: np.ndarray, *, policy: IndexPolicy | None = None, threads: int | None = None
    ) -> FaissVectorStore:
        """A store over ``vectors`` (n, dim) float32 (may be memory-mapped), its kind chosen by ``n``."""
        policy = policy or IndexPolicy()
        rows, dim = vectors.shape
        faiss.omp_set_num_threads(threads or os.cpu_count() or 1)
        kind = policy.kind(rows)
        factory = kind if kind == "Flat" else f"{kind},Flat"
        index = faiss.index_factory(dim, factory, faiss.METRIC_INNER_PRODUCT)
        if kind.startswith("HNSW"):
            index.hnsw.efConstruction = policy.ef_construction
        if not index.is_trained:
            step = max(1, rows // (256 * faiss.extract_index_ivf(index).nlist))
            index.train(np.ascontiguousarray(vectors[::step], dtype=np.float32))
        store = cls(index, policy)
        for block in _blocks(vectors):
            store.add(block)
        return cls(index, policy)

    @property
    def kind(self) -> str:
        """``Flat``, ``HNSW32`` or ``IVF<lists>``."""
        if self._ivf:
            return f"IVF{faiss.extract_index_ivf(self._index).nlist}"
        return "HNSW32" if self._hnsw else "Flat"

    @property
    def dim(self) -> int:
        """Width of a vector."""
        return int(self._index.d)

    @property
    def size(self) -> int:
        """Number of vectors."""
        return int(self._index.ntotal)

    def add(self, vectors: np.ndarray) -> None:
        """Append ``vectors`` (n, dim) float32; ``ValueError`` when the width differs."""
        if vectors.ndim != 2 or vectors.shape[1] != self.dim:
            raise ValueError(f"vectors of shape {vectors.shape} do not fit a store of width {self.dim}")
        self._index.add(np.ascontiguousarray(vectors, dtype=np.float32))

    def search(
        self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """See :meth:`VectorStore.search`."""
        queries = np.ascontiguousarray(np.atleast_2d(queries), dtype=np.float32)
        if queries.shape[1] != self.dim:
            raise ValueError(f"a query of width {queries.shape[1]} does not fit vectors of width {self.dim}")
        faiss.omp_set_num_threads(search_threads())
        if allowed is None:
            return self._approximate(queries, min(k, self.size), None)
        rows = np.flatnonzero(allowed) if allowed.dtype == bool else np.unique(allowed).astype(np.int64)
        k = min(k, len(rows))
        if k <= 0:
            return np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
        if len(rows) == self.size:
            return self._approximate(queries, k, None)
        if len(rows) < EXACT_BELOW and (self._hnsw or self._ivf):  # a flat index scans exactly by itself
            return self._exact(queries, k, rows)
        return self._approximate(queries, k, rows)

    def _approximate(
        self, queries: np.ndarray, k: int, rows: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        if k <= 0:
            return np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
        parameters: Any = None
        selector: Any = None
        bits: np.ndarray | None = None
        if rows is not None:
            mask = np.zeros(self.size, dtype=bool)
            mask[rows] = True
            bits = np.packbits(mask, bitorder="little")
            selector = faiss.IDSelectorBitmap(bits)
        if self._hnsw:
            effort = max(self._policy.ef_search, 2 * k)
            parameters = faiss.SearchParametersHNSW(sel=selector, efSearch=effort)
        elif self._ivf:
            nprobe = faiss.extract_index_ivf(self._index).nprobe
            parameters = faiss.SearchParametersIVF(sel=selector, nprobe=nprobe)
        elif selector is not None:
            parameters = faiss.SearchParameters(sel=selector)
        scores, found = self._index.search(queries, k, params=parameters)
        scores[found < 0] = -np.inf
        return scores, found

    def _exact(self, queries: np.ndarray, k: int, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        scores = queries @ self.vectors(rows).T
        if k < len(rows):
            best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
            scores = np.take_along_axis(scores, best, axis=1)
        else:
            best = np.broadcast_to(np.arange(len(rows)), scores.shape)
        order = np.argsort(-scores, axis=1, kind="stable")
        return np.take_along_axis(scores, order, axis=1), rows[np.take_along_axis(best, order, axis=1)]

    def vectors(self, indices: np.ndarray) -> np.ndarray:
        """The stored vectors of rows ``indices`` (m,): (m, dim) float32."""
        wanted = np.ascontiguousarray(indices, dtype=np.int64)
        if not len(wanted):
            return np.empty((0, self.dim), np.float32)
        faiss.omp_set_num_threads(search_threads())
        return self._index.reconstruct_batch(wanted)

    def save(self, path: Path) -> None:
        """Write the index to ``path`` and on to the disk."""
        faiss.write_index(self._index, str(path))
        with path.open("rb+") as file:
            os.fsync(file.fileno())

    @classmethod
    def load(cls, path: Path) -> FaissVectorStore:
        """Read an index that :meth:`save` wrote; :class:`LibraryError` when the file is none."""
        try:
            return cls(faiss.read_index(str(path)))
        except RuntimeError as fault:
            raise LibraryError(f"{path} is not a readable vector index; rebuild the library.") from fault


def _blocks(vectors: np.ndarray) -> Iterable[np.ndarray]:
    for start in range(0, len(vectors), _BLOCK):
        yield np.ascontiguousarray(vectors[start : start + _BLOCK], dtype=np.float32)
