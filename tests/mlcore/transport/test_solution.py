"""What solvers may say of themselves: no verdict better than the figures, and messages that name cause and remedy."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from mlcore.transport.exact import exact_transport
from mlcore.transport.sinkhorn import sinkhorn
from mlcore.transport.solution import Solution, Status, check_problem, envelope, marginal_errors, status_of
from mlcore.transport.sparse import quadratic_transport, sparse_transport
from mlcore.transport.unbalanced import unbalanced_sinkhorn

D = torch.float64


def test_nothing_that_is_not_a_number_is_called_converged() -> None:
    error = torch.tensor([0.0, 1e-9, 1e-3, math.nan, math.inf, 0.0, 1e-3], dtype=D)
    finite = torch.tensor([True, True, True, True, True, False, True])
    stalled = torch.tensor([False, False, False, False, False, True, True])
    found = status_of(error, torch.ones(7, dtype=D), 1e-6, finite, stalled=stalled)
    assert [Status(each).name for each in found.tolist()] == [
        "CONVERGED", "CONVERGED", "ITERATION_LIMIT", "NOT_FINITE", "NOT_FINITE", "NOT_FINITE", "STALLED",
    ]  # fmt: skip


def test_the_tolerance_is_a_share_of_the_mass() -> None:
    error, mass = torch.full((2,), 1e-3, dtype=D), torch.tensor([1.0, 1e4], dtype=D)
    found = status_of(error, mass, 1e-6, torch.ones(2, dtype=torch.bool))
    assert found.tolist() == [Status.ITERATION_LIMIT, Status.CONVERGED]


SOLVERS: dict[str, Callable[[Tensor, Tensor, Tensor], Solution]] = {
    "sinkhorn": lambda cost, a, b: sinkhorn(cost, a, b, 0.1),
    "unbalanced": lambda cost, a, b: unbalanced_sinkhorn(cost, a, b, 0.1, rho_a=1.0, rho_b=2.0),
    "exact": exact_transport,
    "quadratic": lambda cost, a, b: quadratic_transport(cost, a, b, 1.0),
    "sparse": lambda cost, a, b: sparse_transport(cost, a, b, 1.0, 3),
}


def problem(batch: int = 3, n: int = 7, m: int = 5) -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(1)
    cost = torch.rand(batch, n, m, generator=draw, dtype=D)
    a, b = (torch.rand(batch, size, generator=draw, dtype=D) + 0.2 for size in (n, m))
    return cost, a / a.sum(1, keepdim=True), b / b.sum(1, keepdim=True)


@pytest.mark.parametrize("name", SOLVERS)
def test_every_solver_reports_the_figures_of_its_plan(name: str) -> None:
    cost, a, b = problem()
    found = SOLVERS[name](cost, a, b)
    assert bool((found.plan >= 0).all())
    torch.testing.assert_close(found.cost, (found.plan * cost).sum((1, 2)))
    if name != "unbalanced":  # whose errors are those of its optimality conditions
        rows, columns = marginal_errors(found.plan, a, b)
        torch.testing.assert_close(found.row_error, rows, rtol=0, atol=1e-14)
        torch.testing.assert_close(found.column_error, columns, rtol=0, atol=1e-14)
        worst = torch.maximum(rows, columns)
        assert torch.equal(found.converged, worst <= found.tolerance)
    assert bool(found.converged.all())
    assert found.explain() == []
    assert bool((found.dual <= found.primal + 1e-8).all())
    assert found.status.shape == found.iterations.shape == found.cost.shape == (3,)
    assert found.f.shape == a.shape
    assert found.g.shape == b.shape


@pytest.mark.parametrize("name", SOLVERS)
def test_every_solver_takes_one_problem_without_a_batch(name: str) -> None:
    cost, a, b = problem()
    together, alone = SOLVERS[name](cost, a, b), SOLVERS[name](cost[1], a[1], b[1])
    assert alone.plan.shape == (7, 5)
    assert alone.status.shape == alone.primal.shape == ()
    torch.testing.assert_close(alone.plan, together.plan[1], rtol=0, atol=1e-6)
    torch.testing.assert_close(alone.dual, together.dual[1], rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("name", SOLVERS)
def test_every_solver_refuses_costs_that_are_not_finite_where_mass_may_go(name: str) -> None:
    cost, a, b = problem()
    for bad in (math.nan, math.inf, -math.inf):
        broken = cost.clone()
        broken[2, 3, 1] = bad
        with pytest.raises(ValueError, match="not finite"):
            SOLVERS[name](broken, a, b)
    masked = a.clone()
    masked[:, 3] = 0
    masked /= masked.sum(1, keepdim=True)
    assert bool(
        torch.isfinite(SOLVERS[name](broken, masked, b).plan).all()
    )  # where none may go, nobody looks


def test_masses_that_differ_by_rounding_become_one() -> None:
    cost, a, b = problem(batch=1)
    found = check_problem(cost, a, b * (1 + 1e-14))
    torch.testing.assert_close(found.b.sum(1), a.sum(1), rtol=3e-16, atol=0)
    with pytest.raises(ValueError, match=r"different masses, 1(\.0+\d*)? and 1\.00"):
        check_problem(cost, a, b * 1.001)
    assert torch.equal(check_problem(cost, a, b * 1.001, balanced=False).b, b * 1.001)


def test_the_envelope_is_a_value_with_the_gradient_of_the_plan() -> None:
    cost, *_ = problem()
    plan, value = torch.rand_like(cost), torch.tensor([1.0, 2.0, 3.0], dtype=D)
    assert not envelope(value, plan, cost).requires_grad
    carried = envelope(value, plan, cost.requires_grad_())
    torch.testing.assert_close(carried.detach(), value)
    assert torch.equal(torch.autograd.grad(carried.sum(), cost)[0], plan)


def test_explanations_name_the_problem_its_figures_and_a_remedy() -> None:
    cost, a, b = problem(n=30, m=30)
    found = sinkhorn(cost, a, b, torch.tensor([1.0, 1e-4, 1.0], dtype=D), tolerance=1e-13, max_iterations=1)
    assert found.converged.tolist()[1] is False
    told = [each for each in found.explain() if each.startswith("problem 1:")]
    assert len(told) == 1
    assert len(found.explain()) == int((~found.converged).sum())
    for words in (
        "marginal error",
        "duality gap",
        "iterations",
        "tolerance 1e-13",
        "regularise more strongly",
    ):
        assert words in told[0]
