"""Every engine with every kind of index, and a Milvus that the environment names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlcore.retrieval.vectors import milvus_client, placement
from mlcore.retrieval.vectors.milvus_place import MilvusPlace
from tests.mlcore.retrieval.vectors.engines import POLICIES, Engine, OnFaiss, OnMilvus, clustered

ENGINES: dict[str, Callable[[Path], Engine]] = {"faiss": OnFaiss, "milvus": OnMilvus}
BOTH = [f"{engine}-{kind}" for engine in ENGINES for kind in POLICIES]


@pytest.fixture(params=BOTH, scope="module")
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A store over ``clustered()`` that no test changes."""
    engine, kind = request.param.split("-")
    made = ENGINES[engine](tmp_path_factory.mktemp(engine)).build(clustered(), POLICIES[kind])
    yield made
    made.close()


@pytest.fixture(params=BOTH)
def fresh(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[Callable[[np.ndarray], Any], Callable[[Any], Any]]]:
    """How to make a store of one's own, and how to open it again."""
    name, kind = request.param.split("-")
    engine = ENGINES[name](tmp_path)
    made: list[Any] = []

    def build(vectors: np.ndarray) -> Any:
        made.append(engine.build(vectors, POLICIES[kind]))
        return made[-1]

    def again(store: Any) -> Any:
        made.append(engine.again(store))
        return made[-1]

    yield build, again
    for store in made:
        store.close()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MilvusPlace]:
    """The Milvus Lite that the environment names; nobody must hold it at the end."""
    where = MilvusPlace(f"milvus://{tmp_path / 'store' / 'vectors.db'}")
    monkeypatch.setenv("VECTOR_STORE", where.location)
    monkeypatch.setattr(placement, "GRACE_SECONDS", 0.0)
    yield where
    assert where not in milvus_client._open
