"""What is particular to the store on FAISS."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mlcore.retrieval.vectors.on_faiss import FaissVectorStore
from mlcore.retrieval.vectors.policy import IndexPolicy
from mlcore.runtime.errors import LibraryError
from tests.mlcore.retrieval.vectors.engines import clustered


def test_kind_follows_the_number_of_rows() -> None:
    policy = IndexPolicy()
    assert [policy.kind(n) for n in (1, 49_999, 50_000, 4_999_999)] == ["Flat", "Flat", "HNSW32", "HNSW32"]
    assert policy.kind(5_000_000) == "IVF8944"
    assert IndexPolicy(ivf_from=0, hnsw_from=0).kind(80) == "IVF2"


def test_a_file_that_is_no_index(tmp_path: Path) -> None:
    (tmp_path / "no.faiss").write_bytes(b"no index at all")
    with pytest.raises(LibraryError, match="rebuild"):
        FaissVectorStore.load(tmp_path / "no.faiss")


def test_the_marks_of_removed_rows_belong_to_their_index(tmp_path: Path) -> None:
    path = tmp_path / "vectors.faiss"
    store = FaissVectorStore.build(clustered(30), threads=1)
    store.remove(np.array([3]))
    store.save(path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["vectors.faiss", "vectors.faiss.removed"]
    marks = (tmp_path / "vectors.faiss.removed").read_bytes()
    FaissVectorStore.build(clustered(20), threads=1).save(path)
    assert [file.name for file in tmp_path.iterdir()] == ["vectors.faiss"]
    (tmp_path / "vectors.faiss.removed").write_bytes(marks)
    with pytest.raises(LibraryError, match=r"vectors\.faiss\.removed does not belong to vectors\.faiss"):
        FaissVectorStore.load(path)
