"""The text-to-text channel against a plain loop."""

import numpy as np
import pytest

from mlcore.retrieval.wordings import Wordings

SIZE, TEXTS, WIDTH = 40, 90, 16


@pytest.fixture
def made() -> tuple[Wordings, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((TEXTS, WIDTH))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
    owners = np.sort(rng.choice(np.arange(1, SIZE - 1, 2), TEXTS))  # even rows and the last have no text
    return Wordings(vectors, owners, SIZE), vectors.astype(np.float32), owners


def test_cosines_are_those_of_the_best_text_of_each_row(made) -> None:
    wordings, vectors, owners = made
    query = vectors[17]
    rows = np.array([0, 1, 5, 6, 39, *owners[:1]])
    expected = [max((float(v @ query) for v, o in zip(vectors, owners, strict=True) if o == row), default=-np.inf)
                for row in rows]  # fmt: skip
    assert wordings.cosines(query, rows) == pytest.approx(np.array(expected), abs=1e-6)
    assert wordings.has_text(rows).tolist() == [row in owners for row in rows]


@pytest.mark.parametrize("k", [1, 7, 500])
@pytest.mark.parametrize("masked", [False, True])
def test_the_nearest_texts_are_found_among_the_allowed(made, k: int, masked: bool) -> None:
    wordings, vectors, owners = made
    query = np.random.default_rng(1).standard_normal(WIDTH).astype(np.float32)
    allowed = np.arange(SIZE) % 3 == 0 if masked else None
    numbers = np.argsort(-(vectors @ query))
    if allowed is not None:
        numbers = numbers[allowed[owners[numbers]]]
    assert wordings.nearest(query, k, allowed).tolist() == sorted(set(owners[numbers[:k]].tolist()))


def test_a_library_without_texts() -> None:
    none = Wordings(np.empty((0, WIDTH), np.float16), np.empty(0, np.int64), 3)
    assert len(none) == 0
    assert np.isneginf(none.cosines(np.ones(WIDTH, np.float32), np.arange(3))).all()
