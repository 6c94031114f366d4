"""What every vector store promises: one suite over FAISS and Milvus, exact and approximate."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mlcore.retrieval.vectors import on_faiss, on_milvus
from tests.mlcore.retrieval.vectors.engines import DIM, ROWS, clustered, exact, recall

SMALL = 300
EVERY = np.arange(ROWS)


def is_exact(store) -> bool:
    return store.kind in ("Flat", "FLAT")


def found_by(store, vector: np.ndarray, k: int = 5) -> set[int]:
    found = store.search(vector, k)[1]
    return set(found[found >= 0].tolist())


def test_recall_and_order(store):
    queries = clustered(50, seed=1)
    scores, found = store.search(queries, 10)
    assert (scores.shape, scores.dtype, found.dtype) == ((50, 10), np.float32, np.int64)
    assert recall(found, exact(clustered(), queries, 10, EVERY)) >= (1.0 if is_exact(store) else 0.95)
    assert (np.diff(scores, axis=1) <= 1e-6).all()
    assert np.allclose(scores, np.einsum("qd,qkd->qk", queries, clustered()[found]), atol=1e-5)


@pytest.mark.parametrize("how", ["compared here", "listed", "all but listed", "sifted"])
def test_only_allowed_rows_are_found(store, how, monkeypatch):
    """A mask and row numbers do the same, whichever way of filtering the sizes call for."""
    monkeypatch.setattr(on_faiss, "EXACT_BELOW", 10_000 if how == "compared here" else 0)
    monkeypatch.setattr(on_milvus, "EXACT_UP_TO", 10_000 if how == "compared here" else 0)
    monkeypatch.setattr(on_milvus, "LISTED_UP_TO", {"sifted": 0, "all but listed": ROWS // 2}.get(how, ROWS))
    queries = clustered(20, seed=2)
    mask = EVERY % 3 == 0 if how != "all but listed" else EVERY % 3 != 0
    allowed = np.flatnonzero(mask)
    scores, found = store.search(queries, 10, mask)
    assert set(found[found >= 0].tolist()) <= set(allowed.tolist())
    again, same = store.search(queries, 10, allowed)
    assert np.array_equal(found, same)
    assert np.allclose(scores, again)
    certain = how == "compared here" or is_exact(store)
    assert recall(found, exact(clustered(), queries, 10, allowed)) >= (1.0 if certain else 0.95)


def test_very_selective_filters_find_what_there_is(store):
    """Three rows far from the query, which a walk along a graph would never meet."""
    queries = clustered(5, seed=3)
    few = np.sort(np.argsort(queries[0] @ clustered().T)[:3])
    found = store.search(queries, 10, few)[1]
    assert found.shape == (5, 3)
    assert np.array_equal(found, exact(clustered(), queries, 3, few))


def test_nothing_allowed_nothing_found(store):
    for allowed in (np.zeros(ROWS, bool), np.array([], np.int64), np.array([])):
        scores, found = store.search(clustered(2, seed=3), 10, allowed)
        assert (scores.shape, found.shape) == ((2, 0), (2, 0))


def test_more_asked_than_there_is(store):
    query = clustered(1, seed=3)
    assert store.search(query, 10, np.array([7, 3, 3]))[1].shape == (1, 2)
    assert store.search(query, 0)[1].shape == (1, 0)
    assert store.search(query[0], 3)[1].shape == (1, 3)
    found = store.search(query, ROWS + 5)[1]
    assert len(set(found[found >= 0].tolist())) == (found >= 0).sum() <= ROWS
    if is_exact(store):
        assert found.shape == (1, ROWS)
    assert store.search(query, ROWS + 5, np.ones(ROWS, bool))[1].shape[1] <= ROWS


def test_stored_vectors_come_back_in_the_order_asked(store):
    wanted = np.array([5, 0, ROWS - 1, 5])
    assert np.allclose(store.vectors(wanted), clustered()[wanted], atol=1e-6)
    empty = store.vectors(np.array([], np.int64))
    assert (empty.shape, empty.dtype) == ((0, DIM), np.float32)


@pytest.mark.parametrize("row", [-1, ROWS])
def test_rows_that_were_never_given(store, row):
    with pytest.raises(IndexError, match=f"no row {row}"):
        store.vectors(np.array([0, row]))
    with pytest.raises(IndexError, match=f"no row {row}"):
        store.remove(np.array([row]))
    with pytest.raises(ValueError, match=f"a store of {ROWS} rows"):
        store.search(clustered(1), 3, np.array([row]))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_cannot_be_compared_is_refused(store, bad):
    spoilt = clustered(3, seed=4)
    spoilt[1, 2] = bad
    for act, what in ((store.add, "vector 1"), (lambda them: store.search(them, 3), "query 1")):
        with pytest.raises(ValueError, match=f"{what} has values that are not finite"):
            act(spoilt)
    assert store.size == ROWS


def test_other_shapes_are_refused(store):
    with pytest.raises(ValueError, match="a query of width 3 does not fit vectors of width 24"):
        store.search(np.zeros((1, 3), np.float32), 1)
    for vectors in (np.zeros((1, 3), np.float32), np.zeros(DIM, np.float32)):
        with pytest.raises(ValueError, match="do not fit a store of width 24"):
            store.add(vectors)
    with pytest.raises(ValueError, match="a mask of shape"):
        store.search(clustered(1), 3, np.ones(ROWS - 1, bool))
    assert store.size == ROWS


def test_threads_get_what_one_gets(store):
    queries = clustered(48, seed=5)
    alone = [store.search(query, 10)[1] for query in queries]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda query: store.search(query, 10)[1], queries))
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def test_an_empty_store(fresh):
    build, again = fresh
    store = again(build(np.empty((0, DIM), np.float32)))
    assert (store.size, store.dim) == (0, DIM)
    assert store.search(clustered(2), 5)[1].shape == (2, 0)
    assert store.search(clustered(2), 5, np.zeros(0, bool))[1].shape == (2, 0)
    assert store.vectors(np.array([], np.int64)).shape == (0, DIM)
    assert store.add(clustered(3)) == range(3)
    assert found_by(store, clustered(3)[1], 1) == {1}


def test_the_same_vector_twice_is_two_rows(fresh):
    build, _ = fresh
    made = clustered(SMALL)
    made[40] = made[7]
    store = build(made)
    assert {7, 40} <= found_by(store, made[7])
    assert store.add(made[[7]]) == range(SMALL, SMALL + 1)
    assert {7, 40, SMALL} <= found_by(store, made[7])


def test_removed_rows_never_come_back(fresh):
    build, again = fresh
    made = clustered(SMALL)
    store = build(made)
    gone = np.array([0, 17, SMALL - 1, 17])
    store.remove(gone)
    store.remove(gone[:1])
    for reopened in (False, True):
        opened = again(store) if reopened else store
        assert opened.size == SMALL
        left = np.setdiff1d(np.arange(SMALL), gone)
        for row in (0, 17, SMALL - 1):
            assert row not in found_by(opened, made[row])
            assert row not in opened.search(made[row], 3, np.array([row, 5, 6]))[1]
            assert opened.search(made[row], 3, np.array([row]))[1].shape == (1, 0)
            with pytest.raises(IndexError, match=f"row {row} has been removed"):
                opened.vectors(np.array([5, row]))
        queries = clustered(20, seed=6)
        assert recall(opened.search(queries, 10)[1], exact(made, queries, 10, left)) >= 0.95
        assert np.allclose(opened.vectors(left[[3, 9]]), made[left[[3, 9]]], atol=1e-6)
    more = clustered(2, seed=7)
    assert opened.add(more) == range(SMALL, SMALL + 2)
    assert SMALL in found_by(opened, more[0])
    assert opened.search(made[0], SMALL, None)[1].max() == SMALL + 1
    assert 17 not in found_by(opened, made[17], 50)


def test_opened_again_it_answers_the_same(fresh):
    build, again = fresh
    store = build(clustered(SMALL))
    store.add(clustered(20, seed=8))
    queries = clustered(10, seed=9)
    scores, found = store.search(queries, 10)
    kind = store.kind
    opened = again(store)
    assert (opened.kind, opened.size, opened.dim) == (kind, SMALL + 20, DIM)
    assert recall(opened.search(queries, 10)[1], found) >= (1.0 if is_exact(store) else 0.95)
    assert np.allclose(opened.search(queries, 10)[0][:, 0], scores[:, 0], atol=1e-5)
    assert np.allclose(opened.vectors(np.array([SMALL + 3])), clustered(20, seed=8)[[3]], atol=1e-6)
