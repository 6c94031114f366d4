"""The vector store of one library folder: nearest neighbours by inner product, one FAISS index in one file.

The kind of index is chosen by the number of rows (:class:`.policy.IndexPolicy`) and named in the library's
manifest. FAISS cannot take rows out of its graphs: removed rows stay in the file, are marked in a second one
beside it, and no search passes them.

FAISS and torch each bring their own OpenMP; torch is loaded first, always here, and FAISS' threads are set
explicitly before every call because OpenMP keeps that number per thread.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

# isort: off
import torch  # noqa: F401 - its OpenMP must be in the process before that of FAISS
import faiss as _faiss

# isort: on

from mlcore.retrieval.vectors.policy import IndexPolicy
from mlcore.retrieval.vectors.protocol import (
    Found,
    allowed_rows,
    best_of,
    checked_queries,
    checked_vectors,
    given_rows,
    nothing,
)
from mlcore.runtime.errors import LibraryError

#: below this many allowed rows an exact scan of them beats walking a graph past everything else (measured)
EXACT_BELOW = 10_000
_BLOCK = 65_536
faiss: Any = _faiss  # its type stubs leave out what its Python wrappers add


def search_threads() -> int:
    """Threads of one search: ``FERRY_FAISS_THREADS`` or 1, which serves many clients at once best."""
    return max(1, int(os.environ.get("FERRY_FAISS_THREADS", "1")))


class FaissVectorStore:
    """A :class:`.protocol.VectorStore` on one FAISS index.

    ``removed`` (size,) bool marks the rows that no search may find; None when there are none.
    """

    def __init__(
        self, index: Any, policy: IndexPolicy | None = None, removed: np.ndarray | None = None
    ) -> None:
        self._index = index
        self._removed = removed
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

    def add(self, vectors: np.ndarray) -> range:
        """See :meth:`.protocol.VectorStore.add`."""
        vectors = checked_vectors(vectors, self.dim)
        first = self.size
        self._index.add(vectors)
        if self._removed is not None:
            self._removed = np.concatenate([self._removed, np.zeros(len(vectors), bool)])
        return range(first, self.size)

    def remove(self, rows: np.ndarray) -> None:
        """See :meth:`.protocol.VectorStore.remove`; lasting once the store has been saved."""
        gone = given_rows(rows, self.size)
        removed = np.zeros(self.size, bool) if self._removed is None else self._removed.copy()
        removed[gone] = True
        self._removed = removed if removed.any() else None

    def search(self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None) -> Found:
        """See :meth:`.protocol.VectorStore.search`."""
        queries = checked_queries(queries, self.dim)
        faiss.omp_set_num_threads(search_threads())
        removed = self._removed
        if allowed is None and removed is None:
            return self._approximate(queries, min(k, self.size), None)
        rows = np.arange(self.size) if allowed is None else allowed_rows(allowed, self.size)
        if removed is not None:
            rows = rows[~removed[rows]]
        k = min(k, len(rows))
        if k <= 0:
            return nothing(queries)
        if len(rows) == self.size:
            return self._approximate(queries, k, None)
        if len(rows) < EXACT_BELOW and (self._hnsw or self._ivf):  # a flat index scans exactly by itself
            return best_of(queries, self.vectors(rows), rows, k)
        return self._approximate(queries, k, rows)

    def _approximate(self, queries: np.ndarray, k: int, rows: np.ndarray | None) -> Found:
        if k <= 0:
            return nothing(queries)
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

    def vectors(self, indices: np.ndarray) -> np.ndarray:
        """See :meth:`.protocol.VectorStore.vectors`."""
        wanted = given_rows(indices, self.size)
        if not len(wanted):
            return np.empty((0, self.dim), np.float32)
        if self._removed is not None and self._removed[wanted].any():
            raise IndexError(f"row {wanted[self._removed[wanted]][0]} has been removed")
        faiss.omp_set_num_threads(search_threads())
        return self._index.reconstruct_batch(wanted)

    def save(self, path: Path) -> None:
        """Write the index to ``path``, and which rows are removed beside it, and on to the disk."""
        marks = _marks(path)
        if self._removed is not None:
            with marks.open("wb") as file:
                np.save(file, self._removed)
                file.flush()
                os.fsync(file.fileno())
        faiss.write_index(self._index, str(path))
        with path.open("rb+") as file:
            os.fsync(file.fileno())
        if self._removed is None:
            marks.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: Path) -> FaissVectorStore:
        """Read an index that :meth:`save` wrote; :class:`LibraryError` when the file is none."""
        marks = _marks(path)
        try:
            index = faiss.read_index(str(path))
            removed = np.load(marks, allow_pickle=False) if marks.exists() else None
        except (RuntimeError, ValueError) as fault:
            raise LibraryError(f"{path} is not a readable vector index; rebuild the library.") from fault
        if removed is not None and removed.shape != (index.ntotal,):
            raise LibraryError(f"{marks} does not belong to {path.name}; rebuild the library.")
        return cls(index, removed=removed)

    def close(self) -> None:
        """Nothing to give back: memory goes with the object."""


def _marks(path: Path) -> Path:
    """The file beside the index ``path`` that says which rows are removed."""
    return path.with_name(f"{path.name}.removed")


def _blocks(vectors: np.ndarray) -> Iterable[np.ndarray]:
    for start in range(0, len(vectors), _BLOCK):
        yield np.ascontiguousarray(vectors[start : start + _BLOCK], dtype=np.float32)
