"""Conjugates and projections against brute force over supports, finite differences, closed forms and POT."""

from __future__ import annotations

import contextlib
import io
import itertools

import numpy as np
import ot
import ot.smooth
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcore.transport.ksparse.projection import (
    orthant_conjugate,
    simplex_conjugate,
    sparse_simplex_projection,
)

SIZE = 7


def vectors(seed: int, count: int = 20, size: int = SIZE) -> torch.Tensor:
    return torch.randn(count, size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def on_support(scores: torch.Tensor, mass: float, gamma: float) -> float:
    """The conjugate over the simplex with all entries, by bisection on the threshold."""
    low, high = float(scores.max()) - gamma * mass - 1, float(scores.max())
    for _ in range(200):
        middle = (low + high) / 2
        held = float(((scores - middle).clamp(min=0) / gamma).sum())
        low, high = (middle, high) if held > mass else (low, middle)
    weights = (scores - low).clamp(min=0) / gamma
    return float((weights * scores).sum() - gamma / 2 * weights.square().sum())


@pytest.mark.parametrize("k", [1, 2, 3, 7])
@pytest.mark.parametrize("gamma,mass", [(1.0, 1.0), (0.3, 0.2), (5.0, 2.0)])
def test_values_are_the_best_over_all_supports(k: int, gamma: float, mass: float) -> None:
    scores = vectors(k, count=6)
    supports = list(itertools.combinations(range(SIZE), k))
    found = simplex_conjugate(scores, mass, gamma, k)
    for row, value in zip(scores, found.value, strict=True):
        assert float(value) == pytest.approx(
            max(on_support(row[list(s)], mass, gamma) for s in supports), abs=1e-10
        )
    found = orthant_conjugate(scores, gamma, k)
    for row, value in zip(scores, found.value, strict=True):
        best = max(float(row[list(s)].clamp(min=0).square().sum()) / (2 * gamma) for s in supports)
        assert float(value) == pytest.approx(best, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    k=st.one_of(st.none(), st.integers(1, 12)),
    gamma=st.floats(0.01, 50),
    mass=st.floats(1e-6, 20),
    shift=st.floats(-1e3, 1e3),
)
def test_the_maximiser_is_feasible_and_attains_the_value(
    seed: int, k: int | None, gamma: float, mass: float, shift: float
) -> None:
    scores = vectors(seed) + shift
    found = simplex_conjugate(scores, mass, gamma, k)
    dense = found.dense(SIZE)
    assert bool((dense >= 0).all())
    assert int((dense > 0).sum(1).max()) <= (k or SIZE)
    torch.testing.assert_close(
        dense.sum(1), torch.full((20,), mass, dtype=torch.float64), rtol=1e-9, atol=1e-12
    )
    attained = (dense * scores).sum(1) - gamma / 2 * dense.square().sum(1)
    torch.testing.assert_close(found.value, attained, rtol=1e-9, atol=1e-9 * (1 + mass))
    # Fenchel: no other point of the feasible set does better
    other = simplex_conjugate(vectors(seed + 1), mass, gamma, k).dense(SIZE)
    assert bool(
        ((other * scores).sum(1) - gamma / 2 * other.square().sum(1) <= found.value + 1e-8 * (1 + mass)).all()
    )


@pytest.mark.parametrize("k", [1, 2, 4, None])
def test_the_maximiser_is_the_gradient(k: int | None) -> None:
    scores, step = vectors(3), 1e-6
    for conjugate in (lambda s: orthant_conjugate(s, 0.7, k), lambda s: simplex_conjugate(s, 0.9, 0.7, k)):
        dense = conjugate(scores).dense(SIZE)
        for entry in range(SIZE):
            shift = torch.zeros(SIZE, dtype=torch.float64)
            shift[entry] = step
            slope = (conjugate(scores + shift).value - conjugate(scores - shift).value) / (2 * step)
            torch.testing.assert_close(slope, dense[:, entry], rtol=0, atol=1e-6)


def test_one_entry_takes_all_and_all_entries_are_the_ordinary_projection() -> None:
    scores = vectors(5)
    dense = simplex_conjugate(scores, 0.4, 2.0, 1).dense(SIZE)
    torch.testing.assert_close(dense, 0.4 * torch.nn.functional.one_hot(scores.argmax(1), SIZE).double())
    expected = ot.smooth.projection_simplex(scores.numpy(), 1.5, axis=1)
    for k in (None, SIZE, SIZE + 5):
        torch.testing.assert_close(sparse_simplex_projection(scores, k, 1.5), torch.from_numpy(expected))


@pytest.mark.parametrize("k", [1, 3, 6])
def test_the_projection_agrees_with_pot_says_nothing_and_leaves_its_input(
    k: int, capsys: pytest.CaptureFixture[str]
) -> None:
    point = vectors(6)
    kept = point.clone()
    found = sparse_simplex_projection(point, k, 0.8)
    assert capsys.readouterr().out == ""
    assert torch.equal(point, kept)
    with contextlib.redirect_stdout(io.StringIO()):
        expected = ot.utils.projection_sparse_simplex(point.numpy().copy(), k, 0.8, axis=1)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)


def test_long_dense_projections_look_past_the_first_entries() -> None:
    point = torch.linspace(0, 1e-4, 500, dtype=torch.float64).repeat(2, 1)
    found = sparse_simplex_projection(point)
    assert int((found > 0).sum(1).min()) == 500
    torch.testing.assert_close(
        found, torch.from_numpy(ot.smooth.projection_simplex(point.numpy(), 1.0, axis=1))
    )


def test_entries_and_vectors_without_mass() -> None:
    scores = vectors(7, count=2)
    scores[:, 3:] = -torch.inf
    found = simplex_conjugate(scores, torch.tensor([0.0, 1.0], dtype=torch.float64), 1.0, 5)
    dense = found.dense(SIZE)
    assert float(found.value[0]) == 0
    assert bool((dense[0] == 0).all())
    assert bool((dense[1, 3:] == 0).all())
    torch.testing.assert_close(dense[1, :3], sparse_simplex_projection(scores[1, :3]))
    assert bool(torch.isfinite(found.value).all())
    blank = simplex_conjugate(torch.full((1, 4), -torch.inf, dtype=torch.float64), 0.0, 1.0, 2)
    assert float(blank.value) == 0
    assert bool(torch.isfinite(blank.weights).all())


def test_ties_at_the_cut_keep_k_entries() -> None:
    found = simplex_conjugate(torch.ones(1, 6, dtype=torch.float64), 1.0, 1.0, 2).dense(6)
    assert int((found > 0).sum()) == 2
    assert float(found.sum()) == pytest.approx(1)


def test_impossible_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="k must be at least 1"):
        sparse_simplex_projection(vectors(0), 0)
    with pytest.raises(ValueError, match="vectors not empty"):
        orthant_conjugate(torch.zeros(3, 0), 1.0)
