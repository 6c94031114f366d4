"""Vector stores: one set of tests over every kind of index, and the quantised ragged arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mlcore.retrieval.arrays import ArrayWriter, RaggedArray, RaggedWriter, dequantise, quantise
from mlcore.retrieval.vectors import FaissVectorStore, IndexPolicy
from mlcore.runtime.errors import LibraryError

POLICIES = {
    "Flat": IndexPolicy(),
    "HNSW32": IndexPolicy(hnsw_from=100),
    "IVF64": IndexPolicy(hnsw_from=100, ivf_from=1000, probes=56),
}
ROWS, DIM = 2500, 24


def vectors(rows: int = ROWS, seed: int = 0) -> np.ndarray:
    made = np.random.default_rng(seed).normal(size=(rows, DIM)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


@pytest.fixture(params=POLICIES, scope="module")
def store(request: pytest.FixtureRequest) -> FaissVectorStore:
    built = FaissVectorStore.build(vectors(), policy=POLICIES[request.param], threads=1)
    assert built.kind == request.param
    return built


def exact(queries: np.ndarray, k: int, rows: np.ndarray) -> np.ndarray:
    return rows[np.argsort(-(queries @ vectors()[rows].T), axis=1)[:, :k]]


def test_kind_follows_the_number_of_rows() -> None:
    policy = IndexPolicy()
    assert [policy.kind(n) for n in (1, 49_999, 50_000, 4_999_999)] == ["Flat", "Flat", "HNSW32", "HNSW32"]
    assert policy.kind(5_000_000).startswith("IVF")


def test_recall_and_order(store: FaissVectorStore) -> None:
    queries = vectors(50, seed=1)
    scores, found = store.search(queries, 10)
    truth = exact(queries, 10, np.arange(ROWS))
    recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found, truth, strict=True)])
    assert recall >= (1.0 if store.kind == "Flat" else 0.95)
    assert (np.diff(scores, axis=1) <= 1e-6).all()
    assert np.allclose(scores[0], queries[0] @ vectors()[found[0]].T, atol=1e-5)


@pytest.mark.parametrize("exact_below", [0, 20_000])
def test_only_allowed_rows_are_found(
    store: FaissVectorStore, exact_below: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlcore.retrieval.vectors.EXACT_BELOW", exact_below)
    queries = vectors(5, seed=2)
    allowed = np.arange(0, ROWS, 3)
    mask = np.zeros(ROWS, dtype=bool)
    mask[allowed] = True
    scores, found = store.search(queries, 10, mask)
    assert set(found[found >= 0].tolist()) <= set(allowed.tolist())
    again, same = store.search(queries, 10, allowed)
    assert np.array_equal(found, same)
    assert np.allclose(scores, again)
    truth = exact(queries, 10, allowed)
    recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found, truth, strict=True)])
    assert recall >= (1.0 if exact_below or store.kind == "Flat" else 0.9)


def test_more_asked_than_there_is(store: FaissVectorStore) -> None:
    query = vectors(1, seed=3)
    assert store.search(query, 10, np.array([7, 3, 3]))[1].shape == (1, 2)
    assert store.search(query, 10, np.zeros(ROWS, dtype=bool))[1].shape == (1, 0)
    assert store.search(query, 0)[1].shape == (1, 0)
    assert store.search(query, ROWS + 5)[1].shape == (1, ROWS)
    assert store.search(query[0], 3)[1].shape == (1, 3)


def test_stored_vectors_come_back(store: FaissVectorStore) -> None:
    assert np.allclose(store.vectors(np.array([5, 0, 2499])), vectors()[[5, 0, 2499]], atol=1e-6)
    assert store.vectors(np.array([], dtype=np.int64)).shape == (0, DIM)


def test_save_and_load(store: FaissVectorStore, tmp_path: Path) -> None:
    store.save(tmp_path / "vectors.faiss")
    loaded = FaissVectorStore.load(tmp_path / "vectors.faiss")
    assert (loaded.kind, loaded.size, loaded.dim) == (store.kind, ROWS, DIM)
    queries = vectors(5, seed=4)
    assert np.array_equal(loaded.search(queries, 5)[1], store.search(queries, 5)[1])
    assert np.allclose(loaded.vectors(np.array([9])), vectors()[[9]], atol=1e-6)


def test_misfits_are_refused(store: FaissVectorStore, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="width 3"):
        store.search(np.zeros((1, 3), np.float32), 1)
    with pytest.raises(ValueError, match="do not fit"):
        store.add(np.zeros((1, 3), np.float32))
    (tmp_path / "no.faiss").write_bytes(b"no index at all")
    with pytest.raises(LibraryError, match="rebuild"):
        FaissVectorStore.load(tmp_path / "no.faiss")


FLOATS = st.floats(-4, 4, width=32)


@settings(max_examples=100, deadline=None)
@given(values=arrays(np.float32, st.tuples(st.integers(0, 12), st.integers(1, 9)), elements=FLOATS))
def test_quantised_rows_come_back_within_half_a_step(values: np.ndarray) -> None:
    whole, scale = quantise(values)
    assert whole.dtype == np.int8
    assert scale.dtype == np.float16
    error = np.abs(dequantise(whole, scale) - values)
    assert (error <= scale.astype(np.float32)[:, None] * 0.5 + 1e-6).all()
    largest = np.abs(values).max(axis=1, initial=0)
    assert (scale.astype(np.float32) <= largest / 127 * 1.002 + 6e-8).all()


@settings(max_examples=25, deadline=None)
@given(lengths=st.lists(st.integers(0, 5), min_size=1, max_size=12), cut=st.integers(0, 12), data=st.data())
def test_ragged_groups_come_back_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], cut: int, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("ragged")
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    values = np.random.default_rng(0).normal(size=(offsets[-1], 4)).astype(np.float32)
    cut = min(cut, len(lengths))
    writer = RaggedWriter(folder, "motif", 4)
    writer.append(values[: offsets[cut]], offsets[: cut + 1])
    rows = writer.rows
    writer.append(values, offsets)  # never committed: the next writer takes it back
    for part in writer.parts():
        part.sync()
        part.abandon()
    writer = RaggedWriter(folder, "motif", 4, groups=cut, rows=rows)
    writer.append(values[offsets[cut] :], offsets[cut:] - offsets[cut])
    for part in writer.parts():
        part.close()
    chosen = data.draw(st.lists(st.integers(0, len(lengths) - 1), max_size=6))
    found, bounds = RaggedArray.open(folder, "motif").take(np.array(chosen, dtype=np.int64))
    expected = [values[offsets[i] : offsets[i + 1]] for i in chosen]
    assert np.diff(bounds).tolist() == [len(group) for group in expected]
    if len(found):
        assert np.abs(found - np.concatenate(expected)).max() < 0.02


def test_an_array_shorter_than_recorded_is_refused(tmp_path: Path) -> None:
    writer = ArrayWriter(tmp_path / "a.npy", "float32", 2)
    writer.append(np.ones((3, 2), np.float32))
    writer.close()
    assert np.load(tmp_path / "a.npy").shape == (3, 2)
    with pytest.raises(LibraryError, match="shorter than the 9 rows"):
        ArrayWriter(tmp_path / "a.npy", "float32", 2, rows=9)
