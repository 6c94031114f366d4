"""A vector store in one Milvus collection, for libraries that no single machine holds.

An entity is a row: its primary key ``id`` is the row number, ``vector`` the vector. How many row numbers have been
given is a property of the collection, written before the rows themselves: an addition that was cut short leaves
numbers without rows, which is what removed rows are too, and never one number for two rows.

Milvus indexes each sealed segment on its own, so the kind of index follows :class:`.policy.IndexPolicy` with the rows
of a segment where it counts inverted lists.
"""

from __future__ import annotations

import importlib
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from mlcore.retrieval.vectors.milvus_client import REQUEST_SECONDS, connect, faults, release
from mlcore.retrieval.vectors.milvus_place import MilvusPlace
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

#: up to this many allowed rows their vectors are fetched and compared here, which is exact
EXACT_UP_TO = 1_000
#: a longer list of row numbers does not travel with a search: more rows are asked for and sifted here
LISTED_UP_TO = 200_000
#: what Milvus gives for one query at most
MOST = 16_384
SEARCH_SECONDS = 20.0
_ROWS = "ferry.rows"
_MESSAGE_BYTES = 8 << 20
_SEGMENT_BYTES = 1 << 30


class MilvusVectorStore:
    """A :class:`.protocol.VectorStore` on the collection ``name`` of ``place``: see :meth:`build` and :meth:`open`.

    Every method raises :class:`LibraryError` when Milvus cannot be reached or refuses, within :data:`SEARCH_SECONDS`
    for a search.
    """

    def __init__(self, place: MilvusPlace, name: str, client: Any, policy: IndexPolicy) -> None:
        self._place = place
        self._name = name
        self._client = client
        self._policy = policy
        self._given_back = weakref.finalize(self, release, place)
        with faults(place):
            described = client.describe_collection(name, timeout=REQUEST_SECONDS)
            index = client.describe_index(name, "vector", timeout=REQUEST_SECONDS)
            client.load_collection(name)
        widths = [field["params"]["dim"] for field in described["fields"] if field["name"] == "vector"]
        self._dim = int(widths[0])
        self._size = int(described["properties"][_ROWS])
        self._kind = str(index["index_type"])

    @classmethod
    def build(
        cls, place: MilvusPlace, name: str, vectors: np.ndarray, *, policy: IndexPolicy | None = None
    ) -> MilvusVectorStore:
        """A new collection ``name`` over ``vectors`` (n, dim) (may be memory-mapped), its index chosen by ``n``.

        ``ValueError`` when there is such a collection already.
        """
        policy = policy or IndexPolicy()
        client = connect(place, create=True)
        try:
            with faults(place):
                if client.has_collection(name, timeout=REQUEST_SECONDS):
                    raise ValueError(f"there is a collection {name} in {place.location} already")
                _create(client, name, vectors.shape[1])
                _insert(client, name, 0, vectors)
                client.flush(name)
                parameters = client.prepare_index_params()
                parameters.add_index("vector", metric_type="IP", **_index(policy, *vectors.shape))
                client.create_index(name, parameters)
        except BaseException:
            release(place)
            raise
        return cls(place, name, client, policy)

    @classmethod
    def open(cls, place: MilvusPlace, name: str, *, policy: IndexPolicy | None = None) -> MilvusVectorStore:
        """The collection ``name``, loaded; :class:`LibraryError` when it is not there."""
        client = connect(place)
        try:
            with faults(place):
                there = client.has_collection(name, timeout=REQUEST_SECONDS)
        except BaseException:
            release(place)
            raise
        if not there:
            release(place)
            raise LibraryError(f"The vector store {place.location} has no collection {name}.")
        return cls(place, name, client, policy or IndexPolicy())

    @property
    def collection(self) -> str:
        """Its name."""
        return self._name

    @property
    def kind(self) -> str:
        """What Milvus calls the index: ``FLAT``, ``HNSW`` or ``IVF_FLAT``."""
        return self._kind

    @property
    def dim(self) -> int:
        """Width of a vector."""
        return self._dim

    @property
    def size(self) -> int:
        """How many row numbers have been given."""
        return self._size

    def count(self) -> int:
        """How many rows are there now, asked of Milvus: without the removed ones."""
        with faults(self._place):
            answer = self._client.query(
                self._name,
                filter="",
                output_fields=["count(*)"],
                consistency_level="Strong",
                timeout=REQUEST_SECONDS,
            )
        return int(answer[0]["count(*)"])

    def add(self, vectors: np.ndarray) -> range:
        """See :meth:`.protocol.VectorStore.add`; a fault half-way leaves row numbers without rows."""
        vectors = checked_vectors(vectors, self._dim)
        first = self._size
        with faults(self._place):
            self._size = _insert(self._client, self._name, first, vectors)
        return range(first, self._size)

    def remove(self, rows: np.ndarray) -> None:
        """See :meth:`.protocol.VectorStore.remove`; readers elsewhere see it within seconds."""
        gone = np.unique(given_rows(rows, self._size)).tolist()
        with faults(self._place):
            for part in _parts(gone, EXACT_UP_TO):
                self._client.delete(self._name, ids=list(part), timeout=REQUEST_SECONDS)

    def search(self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None) -> Found:
        """See :meth:`.protocol.VectorStore.search`; ``ValueError`` also for more than :data:`MOST` rows a query."""
        queries = checked_queries(queries, self._dim)
        rows = None if allowed is None else allowed_rows(allowed, self._size)
        if rows is not None and len(rows) == self._size:
            rows = None
        k = min(k, self._size if rows is None else len(rows))
        if k <= 0:
            return nothing(queries)
        if rows is not None and len(rows) <= EXACT_UP_TO:
            found, vectors = self._fetched(rows)
            return best_of(queries, vectors, found, min(k, len(found))) if len(found) else nothing(queries)
        if k > MOST:
            raise ValueError(f"{k:,} rows a query are asked for; Milvus gives at most {MOST:,}")
        if rows is None:
            return self._searched(queries, k)
        if len(rows) <= LISTED_UP_TO:
            return self._searched(queries, k, f"id in {rows.tolist()}")
        others = np.ones(self._size, bool)
        others[rows] = False
        if self._size - len(rows) <= LISTED_UP_TO:
            return self._searched(queries, k, f"id not in {np.flatnonzero(others).tolist()}")
        return self._sifted(queries, k, others)

    def vectors(self, indices: np.ndarray) -> np.ndarray:
        """See :meth:`.protocol.VectorStore.vectors`."""
        wanted = given_rows(indices, self._size)
        if not len(wanted):
            return np.empty((0, self._dim), np.float32)
        rows, positions = np.unique(wanted, return_inverse=True)
        found, vectors = self._fetched(rows)
        if len(found) < len(rows):
            raise IndexError(f"row {np.setdiff1d(rows, found)[0]} has been removed")
        return vectors[positions]

    def close(self) -> None:
        """Give the connection back; a file of Milvus Lite is free for others with its last store."""
        self._given_back()

    def _searched(self, queries: np.ndarray, k: int, condition: str = "") -> Found:
        with faults(self._place):
            answers = self._client.search(
                self._name,
                data=list(queries),
                anns_field="vector",
                limit=k,
                filter=condition,
                output_fields=["id"],
                search_params={"metric_type": "IP", "params": self._effort(k)},
                timeout=SEARCH_SECONDS,
            )
        scores = np.full((len(queries), k), -np.inf, np.float32)
        rows = np.full((len(queries), k), -1, np.int64)
        for query, hits in enumerate(answers):
            scores[query, : len(hits)] = [hit["distance"] for hit in hits]
            rows[query, : len(hits)] = [hit["id"] for hit in hits]
        return _trimmed(scores, rows)

    def _effort(self, k: int) -> dict[str, int]:
        """How hard the index searches, in the words of its kind."""
        if self._kind.startswith("HNSW"):
            return {"ef": max(self._policy.ef_search, 2 * k)}
        return {"nprobe": self._policy.probes} if self._kind.startswith("IVF") else {}

    def _sifted(self, queries: np.ndarray, k: int, others: np.ndarray) -> Found:
        """The best ``k`` outside ``others`` (size,) bool among ever more of the best of all rows."""
        most = min(MOST, self._size)
        asked = min(most, int(2 * k * self._size / (self._size - others.sum())) + 1)
        while True:
            scores, rows = self._searched(queries, asked)
            passing = (rows >= 0) & ~others[rows]
            if asked == most or (passing.sum(axis=1) >= k).all():
                break
            asked = min(most, 4 * asked)
        order = np.argsort(~passing, axis=1, kind="stable")[:, :k]
        scores, rows = np.where(passing, scores, -np.inf), np.where(passing, rows, -1)
        return _trimmed(np.take_along_axis(scores, order, axis=1), np.take_along_axis(rows, order, axis=1))

    def _fetched(self, rows: np.ndarray) -> Found:
        """Those of ``rows`` (ascending, each once) that are there (m,), and their vectors (m, dim)."""
        found: dict[int, Sequence[float]] = {}
        with faults(self._place):
            for part in _parts(rows.tolist(), max(1, _MESSAGE_BYTES // (4 * self._dim))):
                answer = self._client.get(
                    self._name, ids=list(part), output_fields=["id", "vector"], timeout=SEARCH_SECONDS
                )
                found.update((entity["id"], entity["vector"]) for entity in answer)
        there = np.array([row for row in rows.tolist() if row in found], np.int64)
        vectors = np.array([found[row] for row in there.tolist()], np.float32).reshape(-1, self._dim)
        return there, vectors


def _create(client: Any, name: str, dim: int) -> None:
    """An empty collection. Its sessions read what they have written; others follow within seconds."""
    kinds = importlib.import_module("pymilvus").DataType
    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", kinds.INT64, is_primary=True)
    schema.add_field("vector", kinds.FLOAT_VECTOR, dim=dim)
    client.create_collection(
        name, schema=schema, properties={_ROWS: "0"}, consistency_level="Session", timeout=REQUEST_SECONDS
    )


def _insert(client: Any, name: str, first: int, vectors: np.ndarray) -> int:
    """Insert ``vectors`` (n, dim) as rows ``first`` onwards; how many row numbers have been given then."""
    end = first + len(vectors)
    client.alter_collection_properties(name, {_ROWS: str(end)}, timeout=REQUEST_SECONDS)
    step = max(1, _MESSAGE_BYTES // (4 * vectors.shape[1]))
    for start in range(0, len(vectors), step):
        block = checked_vectors(vectors[start : start + step], vectors.shape[1])
        entities = [{"id": first + start + place, "vector": vector} for place, vector in enumerate(block)]
        client.insert(name, entities, timeout=REQUEST_SECONDS)
    return end


def _index(policy: IndexPolicy, rows: int, dim: int) -> dict[str, Any]:
    """The index that ``policy`` gives to ``rows`` rows, in Milvus' words."""
    kind = policy.kind(rows)
    if kind == "Flat":
        return {"index_type": "FLAT", "params": {}}
    if kind == "HNSW32":
        return {"index_type": "HNSW", "params": {"M": 32, "efConstruction": policy.ef_construction}}
    lists = policy.lists(min(rows, _SEGMENT_BYTES // (4 * dim)))
    return {"index_type": "IVF_FLAT", "params": {"nlist": lists}}


def _parts(rows: list[int], step: int) -> list[list[int]]:
    return [rows[start : start + step] for start in range(0, len(rows), step)]


def _trimmed(scores: np.ndarray, rows: np.ndarray) -> Found:
    """Without the columns in which no query has a row."""
    width = int((rows >= 0).sum(axis=1).max(initial=0))
    return scores[:, :width], rows[:, :width]
