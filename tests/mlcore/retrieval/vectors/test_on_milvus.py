"""What is particular to the store on Milvus: a server instead of a file, its going away, its indexes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mlcore.retrieval.vectors import milvus_client, on_milvus
from mlcore.retrieval.vectors.milvus_place import MilvusPlace, read_place
from mlcore.retrieval.vectors.on_milvus import MilvusVectorStore
from mlcore.retrieval.vectors.policy import IndexPolicy
from mlcore.runtime.errors import LibraryError
from tests.mlcore.retrieval.vectors.engines import clustered


@pytest.fixture
def server(tmp_path) -> Iterator[tuple[MilvusPlace, object]]:
    """A server on this machine, reached by host and port."""
    from milvus_lite.adapter.grpc.server import start_server_in_thread

    running, database, port = start_server_in_thread(str(tmp_path / "data"))
    place = read_place(f"milvus://root:secret@127.0.0.1:{port}")
    assert place is not None
    yield place, running
    running.stop(grace=0).wait()
    database.close()


def test_a_server_serves_several_stores(server) -> None:
    place, _ = server
    first = MilvusVectorStore.build(place, "shared", clustered(200))
    second = MilvusVectorStore.open(place, "shared")
    assert second.add(clustered(5, seed=1)) == range(200, 205)
    first.remove(np.array([7]))
    third = MilvusVectorStore.open(place, "shared")
    assert (third.size, third.count()) == (205, 204)
    assert third.search(clustered(5, seed=1)[2], 1)[1].tolist() == [[202]]
    with pytest.raises(ValueError, match="there is a collection shared"):
        MilvusVectorStore.build(place, "shared", clustered(3))
    with pytest.raises(LibraryError, match="has no collection other"):
        MilvusVectorStore.open(place, "other")
    for store in (first, second, third):
        store.close()
    third.close()
    assert place not in milvus_client._open


def test_a_server_that_goes_away_is_told_in_time(server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault comes within the seconds of a search, names the place and no password."""
    monkeypatch.setattr(on_milvus, "SEARCH_SECONDS", 1.0)
    place, running = server
    store = MilvusVectorStore.build(place, "gone", clustered(50))
    assert store.search(clustered(1), 1)[1].shape == (1, 1)
    running.stop(grace=0).wait()
    started = time.monotonic()
    with pytest.raises(LibraryError, match=r"milvus://127\.0\.0\.1:\d+ did not do") as fault:
        store.search(clustered(1), 1)
    assert time.monotonic() - started < 15
    assert "secret" not in str(fault.value)
    store.close()


def test_a_store_that_was_forgotten_gives_its_connection_back(server) -> None:
    place, _ = server
    with ThreadPoolExecutor(4) as threads:
        stores = list(threads.map(lambda name: MilvusVectorStore.build(place, name, clustered(5)), "abcd"))
    assert milvus_client._open[place][1] == 4
    del stores
    assert place not in milvus_client._open


def test_more_than_milvus_gives(server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_milvus, "MOST", 20)
    monkeypatch.setattr(on_milvus, "EXACT_UP_TO", 0)
    monkeypatch.setattr(on_milvus, "LISTED_UP_TO", 0)
    place, _ = server
    store = MilvusVectorStore.build(place, "most", clustered(100))
    with pytest.raises(ValueError, match="30 rows a query are asked for; Milvus gives at most 20"):
        store.search(clustered(1), 30)
    best = store.search(clustered(1, seed=1), 20)[1][0]
    found = store.search(clustered(1, seed=1), 10, np.setdiff1d(np.arange(100), best[:15]))[1]
    assert found.tolist() == [best[15:].tolist()], "what is not among the most is not found"
    store.close()


def test_the_index_follows_the_rows_of_a_segment() -> None:
    policy = IndexPolicy()
    assert on_milvus._index(policy, 1000, 384)["index_type"] == "FLAT"
    assert on_milvus._index(policy, 10**6, 384) == {
        "index_type": "HNSW",
        "params": {"M": 32, "efConstruction": policy.ef_construction},
    }
    rows = (1 << 30) // (4 * 384)
    assert on_milvus._index(policy, 10**9, 384)["params"] == {"nlist": int(4 * rows**0.5)}
