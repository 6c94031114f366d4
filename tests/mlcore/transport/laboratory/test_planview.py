"""What is said of a plan: how sparse and blurred it is, its links, its matrix."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mlcore.transport.laboratory import planview


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_a_permutation_has_no_blur_and_an_outer_product_the_variance_of_the_target(rng):
    y = rng.normal(size=(6, 2))
    permutation = np.eye(6)[rng.permutation(6)] / 6
    found = planview.spread(permutation, y)
    assert found["fan_out"] == pytest.approx(1)
    assert found["blur"] == pytest.approx(0, abs=1e-7)
    assert found["entropy"] == pytest.approx(math.log(6))
    product = planview.spread(np.full((6, 6), 1 / 36), y)
    assert product["fan_out"] == pytest.approx(6)
    assert product["blur"] == pytest.approx(math.sqrt(((y - y.mean(0)) ** 2).sum(1).mean()))


def test_links_are_the_strongest_and_the_counts_close(rng):
    plan = rng.random((5, 7))
    plan[plan < 0.3] = 0
    found = planview.links(plan, 4)
    masses = [mass for _, _, mass in found["links"]]
    assert masses == sorted(plan.ravel(), reverse=True)[:4]
    assert all(plan[i, j] == mass for i, j, mass in found["links"])
    assert found["shown"] + found["left_out"] == found["of"] == (plan > 0).sum()
    assert found["share"] == pytest.approx(sum(masses) / plan.sum())
    assert planview.links(plan, 0)["share"] == 0


def test_a_matrix_is_ordered_and_summed_in_blocks_without_losing_mass(rng):
    x, y = rng.normal(size=(50, 2)), rng.normal(size=(9, 2))
    plan = rng.random((50, 9))
    found = planview.matrix(plan, x, y, 8)
    assert (found["rows"], found["columns"]) == (8, 8)
    assert np.sum(found["cells"]) == pytest.approx(plan.sum())
    whole = planview.matrix(plan, x, y, 64)
    assert np.array_equal(whole["cells"], plan[np.ix_(np.argsort(x[:, 0]), np.argsort(y[:, 0]))])


def test_differences_of_plans_lie_between_nothing_and_everything():
    one, other = np.diag([0.5, 0.5]), np.diag([0.5, 0.5])[::-1]
    assert planview.difference(one, one)["moved"] == 0
    assert planview.difference(one, other)["moved"] == 1
