"""Parity with ott-jax, where conventions meet.

ott-jax takes epsilon absolute, as here. Its ``kl_reg_cost`` is ``<P, C> + eps KL(P | a b')``, our ``primal`` (and
``dual``); its ``ent_reg_cost`` is ``<P, C> - eps H(P)``, our ``entropic``. Its error is the L1 norm, as here.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mlcore.transport.costs import SquaredEuclidean
from mlcore.transport.divergence import sinkhorn_divergence
from mlcore.transport.maps.monge import monge_gap
from mlcore.transport.sinkhorn import sinkhorn
from tests.mlcore.transport.problems import clouds

pytestmark = pytest.mark.slow  # jax compiles each program for many seconds
EPSILON = 0.3


@pytest.fixture
def jnp():
    pytest.importorskip("ott", reason="ott-jax is not installed")
    jax = pytest.importorskip("jax")
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)  # float32 otherwise
    yield jax.numpy
    jax.config.update("jax_enable_x64", before)


def test_plans_and_the_three_values(jnp) -> None:
    from ott.geometry import geometry
    from ott.problems.linear import linear_problem
    from ott.solvers.linear import sinkhorn as theirs

    x, y = clouds(1, 14, 9, seed=4)
    cost = torch.cdist(x, y).square()[0]
    a = torch.softmax(torch.randn(14, generator=torch.Generator().manual_seed(1), dtype=torch.float64), 0)
    b = torch.full((9,), 1 / 9, dtype=torch.float64)
    asked = linear_problem.LinearProblem(
        geometry.Geometry(cost_matrix=jnp.asarray(cost.numpy()), epsilon=EPSILON),
        a=jnp.asarray(a.numpy()),
        b=jnp.asarray(b.numpy()),
    )
    expected = theirs.Sinkhorn(threshold=1e-11, max_iterations=20_000)(asked)
    found = sinkhorn(cost, a, b, EPSILON, tolerance=1e-11)
    np.testing.assert_allclose(found.plan.numpy(), np.asarray(expected.matrix), atol=1e-9)
    assert float(found.cost) == pytest.approx(float(expected.primal_cost), abs=1e-8)
    assert float(found.primal) == pytest.approx(float(expected.kl_reg_cost), abs=1e-8)
    assert float(found.dual) == pytest.approx(float(expected.kl_reg_cost), abs=1e-8)
    assert float(found.entropic) == pytest.approx(float(expected.ent_reg_cost), abs=1e-8)


def test_the_debiased_divergence(jnp) -> None:
    from ott.geometry import costs, pointcloud
    from ott.tools import sinkhorn_divergence as theirs

    x, y = clouds(1, 20, 15, seed=6)
    options = {"threshold": 1e-10, "max_iterations": 20_000}
    expected, _ = theirs.sinkhorn_divergence(
        pointcloud.PointCloud,
        jnp.asarray(x[0].numpy()),
        jnp.asarray(y[0].numpy()),
        cost_fn=costs.SqEuclidean(),
        epsilon=EPSILON,
        solve_kwargs=options,
    )
    ours = sinkhorn_divergence(x[0], y[0], epsilon=EPSILON, cost=SquaredEuclidean(), tolerance=1e-11).value
    assert float(ours) == pytest.approx(float(expected), rel=1e-6)


def test_the_monge_gap(jnp) -> None:
    pytest.importorskip("diffrax", reason="ott-jax needs it for its neural part")
    from ott.geometry import costs
    from ott.neural.methods.monge_gap import monge_gap_from_samples

    x, mapped = clouds(1, 25, 25, d=3, seed=2)
    for ours, theirs in ((SquaredEuclidean(), costs.SqEuclidean()),):
        expected = monge_gap_from_samples(
            jnp.asarray(x[0].numpy()),
            jnp.asarray(mapped[0].numpy()),
            cost_fn=theirs,
            epsilon=EPSILON,
            threshold=1e-10,
            max_iterations=20_000,
        )
        found = monge_gap(x[0], mapped[0], ours, EPSILON, tolerance=1e-11).value
        assert float(found) == pytest.approx(float(expected), rel=1e-6)
