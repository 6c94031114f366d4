"""The logistic function at its edges; the regression against a general optimiser and against a closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.optimize import minimize

from mlcore.retrieval.logistic import logistic, numbers_of, regression

SHRINKAGE = 1e-3


def test_it_is_the_logistic_function_and_does_not_overflow() -> None:
    values = np.array([-1e6, -2.0, 0.0, 2.0, 1e6])
    with np.errstate(all="raise"):
        found = logistic(values)
    assert np.allclose(found[1:4], 1 / (1 + np.exp(-values[1:4])), rtol=1e-15)
    assert found[0] < 1e-20
    assert found[4] == pytest.approx(1)
    assert np.allclose(found + logistic(-values), 1)


@pytest.mark.parametrize("features", [1, 3])
def test_it_finds_what_a_general_optimiser_finds(features: int) -> None:
    rng = np.random.default_rng(features)
    x = rng.normal(size=(60, features))
    right = rng.random(60) < logistic(x.sum(1) + 0.5)
    design = np.column_stack([x, np.ones(60)])

    def objective(weights: np.ndarray) -> float:
        """Negative log likelihood plus the shrinkage."""
        odds = design @ weights
        return float(np.logaddexp(0, odds).sum() - odds[right].sum() + SHRINKAGE / 2 * weights @ weights)

    expected = minimize(objective, np.zeros(features + 1), method="BFGS", options={"gtol": 1e-9}).x
    assert np.allclose(regression(x, right), expected, atol=1e-5)


def test_of_two_groups_it_gives_their_log_odds() -> None:
    """With one feature that is 0 or 1, the likelihood is greatest at the groups' own log odds."""
    x = np.repeat([0.0, 1.0], [4000, 4000])[:, None]
    right = np.concatenate([np.arange(4000) < 1000, np.arange(4000) < 3200])
    slope, constant = regression(x, right)
    assert constant == pytest.approx(np.log(1 / 3), abs=1e-4)
    assert slope + constant == pytest.approx(np.log(4), abs=1e-4)


def test_separable_groups_give_a_finite_answer() -> None:
    weights = regression(np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([False, False, True, True]))
    assert np.isfinite(weights).all()
    assert weights[0] > 0


def test_the_order_of_the_queries_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    x, right = rng.normal(size=(40, 2)), rng.random(40) < 0.5
    order = rng.permutation(40)
    assert np.allclose(regression(x, right), regression(x[order], right[order]), atol=1e-10)


@pytest.mark.parametrize("right", [[True, True], [False, False]])
def test_one_kind_alone_cannot_be_fitted(right: list[bool]) -> None:
    with pytest.raises(ValueError, match="right and with wrong"):
        regression(np.array([[0.0], [1.0]]), np.array(right))


def test_only_known_numbers_are_read() -> None:
    @dataclass
    class Pair:
        a: float = 1.0
        b: float = 2.0

    assert numbers_of(Pair, {"a": 3, "b": "4", "c": 5.0, "d": None}) == {"a": 3.0}
