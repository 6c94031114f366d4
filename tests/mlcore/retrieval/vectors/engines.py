"""Both vector stores behind one door, so that one suite can hold them to one contract."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mlcore.retrieval.vectors import milvus_client
from mlcore.retrieval.vectors.milvus_place import MilvusPlace
from mlcore.retrieval.vectors.on_faiss import FaissVectorStore
from mlcore.retrieval.vectors.on_milvus import MilvusVectorStore
from mlcore.retrieval.vectors.policy import IndexPolicy

ROWS, DIM, CENTRES = 2500, 24, 60

#: policies under which :data:`ROWS` rows get each kind of index
POLICIES = {
    "Flat": IndexPolicy(),
    "HNSW": IndexPolicy(hnsw_from=100),
    "IVF": IndexPolicy(hnsw_from=100, ivf_from=200, probes=16),
}


def clustered(rows: int = ROWS, seed: int = 0) -> np.ndarray:
    """Unit vectors (rows, DIM) float32 around :data:`CENTRES` directions that are the same for every seed."""
    centres = np.random.default_rng(99).normal(size=(CENTRES, DIM))
    random = np.random.default_rng(seed)
    made = centres[random.integers(CENTRES, size=rows)] + 0.5 * random.normal(size=(rows, DIM))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


def exact(stored: np.ndarray, queries: np.ndarray, k: int, rows: np.ndarray) -> np.ndarray:
    """The true best ``k`` of ``rows`` for each query, (q, k)."""
    return rows[np.argsort(-(queries @ stored[rows].T), axis=1, kind="stable")[:, :k]]


def recall(found: np.ndarray, truth: np.ndarray) -> float:
    """The share of ``truth`` (q, k) that was ``found``."""
    return float(np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(found, truth, strict=True)]))


class Engine(Protocol):
    """Makes stores of one implementation, and opens them again as another process would."""

    def build(self, vectors: np.ndarray, policy: IndexPolicy) -> Any: ...

    def again(self, store: Any) -> Any: ...


class OnFaiss:
    """FAISS files in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "vectors.faiss"

    def build(self, vectors: np.ndarray, policy: IndexPolicy) -> FaissVectorStore:
        return FaissVectorStore.build(vectors, policy=policy, threads=1)

    def again(self, store: FaissVectorStore) -> FaissVectorStore:
        store.save(self._path)
        store.close()
        return FaissVectorStore.load(self._path)


class OnMilvus:
    """Collections of a Milvus Lite in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.place = MilvusPlace(f"milvus://{folder / 'vectors.db'}")
        self._names = (f"made_{number}" for number in itertools.count())

    def build(self, vectors: np.ndarray, policy: IndexPolicy) -> MilvusVectorStore:
        return MilvusVectorStore.build(self.place, next(self._names), vectors, policy=policy)

    def again(self, store: MilvusVectorStore) -> MilvusVectorStore:
        store.close()
        if self.place in milvus_client._open:
            raise AssertionError("somebody else holds the file: opening it again would prove nothing")
        return MilvusVectorStore.open(self.place, store.collection)
