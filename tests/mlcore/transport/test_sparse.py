"""Quadratic and k-sparse transport: duality, limits, invariances, gradients, and agreement with POT."""

from __future__ import annotations

import contextlib
import io
import itertools

import numpy as np
import ot
import ot.smooth
import pytest
import torch
from torch import Tensor

from mlcore.transport.ksparse.projection import simplex_conjugate
from mlcore.transport.solution import Status
from mlcore.transport.sparse import SparseSolution, quadratic_transport, sparse_transport


def problem(seed: int, batch: int = 3, n: int = 12, m: int = 9) -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    cost = torch.rand(batch, n, m, generator=draw, dtype=torch.float64)
    a, b = (torch.rand(batch, size, generator=draw, dtype=torch.float64) + 0.1 for size in (n, m))
    return cost, a / a.sum(1, keepdim=True), b / b.sum(1, keepdim=True)


def tight(*given: Tensor, k: int, gamma: float = 1.0, **options: object) -> SparseSolution:
    return sparse_transport(*given, gamma, k, gap=1e-9, max_iterations=60, **options)  # type: ignore[arg-type]


def test_quadratic_transport_closes_the_gap_and_agrees_with_pot() -> None:
    cost, a, b = problem(0)
    for gamma in (0.05, 1.0, 20.0):
        found = quadratic_transport(cost, a, b, gamma)
        assert bool(found.converged.all())
        torch.testing.assert_close(found.primal, found.dual, rtol=1e-6, atol=1e-9)
        assert float(torch.maximum(found.row_error, found.column_error).max()) < 1e-8
        given_to_pot = (a[0].numpy(), b[0].numpy(), cost[0].numpy(), gamma)
        plan = ot.smooth.smooth_ot_semi_dual(*given_to_pot, reg_type="l2", stopThr=1e-14, numItermax=3000)
        np.testing.assert_allclose(found.plan[0].numpy(), plan, atol=2e-5)


def test_dense_quadratic_plans_are_found_too() -> None:
    cost, a, b = problem(1, n=90, m=70)
    a, b = a + 0.05, b + 0.05
    a, b = a / a.sum(1, keepdim=True), b / b.sum(1, keepdim=True)
    found = quadratic_transport(cost, a, b, 1e5)
    assert bool(found.converged.all())
    uniform = a.unsqueeze(2) / 70 + b.unsqueeze(1) / 90 - 1 / (90 * 70)
    torch.testing.assert_close(found.plan, uniform, rtol=0, atol=1e-5)  # gamma -> inf: the least-norm plan


@pytest.mark.parametrize("gamma", [0.05, 0.2, 1.0, 4.0])
def test_one_entry_a_column_is_unregularised_transport_plus_a_constant(gamma: float) -> None:
    cost, a, b = problem(2, batch=2, n=9, m=7)
    found = tight(cost, a, b, k=1, gamma=gamma)
    dual = found.dual - gamma / 2 * b.square().sum(1)
    expected = [ot.emd2(a[i].numpy(), b[i].numpy(), cost[i].numpy()) for i in range(2)]
    np.testing.assert_allclose(dual.numpy(), expected, rtol=0, atol=1e-8)
    assert found.regulariser.endswith("at most 1 non-zero in each of the columns")


def test_the_dual_falls_with_k_to_the_quadratic_one() -> None:
    cost, a, b = problem(3)
    quadratic = quadratic_transport(cost, a, b, 1.0)
    support = int(quadratic.nonzeros.max())
    values = {k: tight(cost, a, b, k=k).dual for k in (1, 2, 4, support, 14)}
    for larger, smaller in itertools.pairwise(values[k] for k in sorted(values)):
        assert bool((smaller <= larger + 1e-8).all())
    for k in (support, 14):
        torch.testing.assert_close(values[k], quadratic.dual, rtol=1e-7, atol=0)
    torch.testing.assert_close(tight(cost, a, b, k=support).plan, quadratic.plan, rtol=0, atol=1e-6)


@pytest.mark.parametrize("k", [2, 4])
def test_duals_agree_and_none_is_above_newtons(k: int) -> None:
    cost, a, b = problem(4, batch=1)
    newton = tight(cost, a, b, k=k)
    for form in ("semi-dual", "dual"):
        other = sparse_transport(cost, a, b, 1.0, k, method="lbfgs", form=form)  # type: ignore[arg-type]
        assert bool((other.dual <= newton.dual * (1 + 1e-8)).all())
        torch.testing.assert_close(other.dual, newton.dual, rtol=2e-2, atol=0)  # L-BFGS stops at kinks


@pytest.mark.parametrize("k", [2, 3, 5, 8])
def test_no_lower_than_the_better_of_pots_duals(k: int) -> None:
    cost, a, b = problem(5, n=12, m=9)
    found = tight(cost, a, b, k=k)
    for i in range(3):
        given_to_pot = (a[i].numpy(), b[i].numpy(), cost[i].numpy(), 1.0)
        with contextlib.redirect_stdout(io.StringIO()):
            logs = [
                solve(
                    *given_to_pot,
                    reg_type="sparsity_constrained",
                    max_nz=k,
                    stopThr=1e-14,
                    numItermax=3000,
                    log=True,
                )[1]["res"].fun
                for solve in (ot.smooth.smooth_ot_semi_dual, ot.smooth.smooth_ot_dual)
            ]
        best = max(-value for value in logs)
        assert float(found.dual[i]) >= best * (1 - 1e-6)
        if k >= 5:  # nothing ties
            assert float(found.dual[i]) == pytest.approx(best, rel=1e-6)


def test_the_dual_is_below_every_sparse_plan() -> None:
    """Brute force: quadratic transport on every support of two rows a column."""
    cost, a, b = problem(6, batch=1, n=3, m=3)
    a = b = torch.full((1, 3), 1 / 3, dtype=torch.float64)
    pairs = list(itertools.combinations(range(3), 2))
    supports = list(itertools.product(pairs, repeat=3))
    closed = cost.repeat(len(supports), 1, 1)
    for number, support in enumerate(supports):
        for column, rows in enumerate(support):
            for row in set(range(3)) - set(rows):
                closed[number, row, column] = 50.0  # dearer than any plan that avoids it
    plans = quadratic_transport(closed, a[0], b[0], 0.5)
    inside = (plans.plan * (closed > 40)).sum((1, 2)) < 1e-9
    best = float(plans.primal[inside].min())
    found = tight(cost, a, b, k=2, gamma=0.5)
    assert float(found.dual) <= best + 1e-9
    assert bool(found.feasible.all())
    assert float(found.primal) >= best - 1e-8


@pytest.mark.parametrize("method", ["newton", "lbfgs", "adam"])
def test_weak_duality_and_truthful_reports(method: str) -> None:
    cost, a, b = problem(7)
    for k in (1, 3):
        found = sparse_transport(cost, a, b, 1.0, k, method=method)  # type: ignore[arg-type]
        assert int(found.nonzeros.max()) <= k
        assert torch.equal(found.nonzeros, (found.plan > 0).sum(1))
        torch.testing.assert_close(found.column_error, torch.zeros(3, dtype=torch.float64), rtol=0, atol=1e-7)
        torch.testing.assert_close(found.row_error, (found.plan.sum(2) - a).abs().sum(1))
        assert torch.equal(found.feasible, torch.maximum(found.row_error, found.column_error) <= 1e-8)
        assert bool((found.dual <= found.primal + 1e-9)[found.feasible].all())
        assert len(found.explain()) == int((~found.converged).sum())


def test_the_unrepaired_plan_is_the_maximiser_and_its_row_error_the_gradient() -> None:
    cost, a, b = problem(8)
    found = sparse_transport(cost, a, b, 1.0, 2, method="adam", repair=False)  # away from the kinks
    step = 1e-6
    for row in range(12):
        shift = torch.zeros(12, dtype=torch.float64)
        shift[row] = step

        def value(alpha: Tensor) -> Tensor:
            scores = (alpha.unsqueeze(2) - cost).mT
            return (alpha * a).sum(1) - simplex_conjugate(scores, b, 1.0, 2).value.sum(1)

        slope = (value(found.f + shift) - value(found.f - shift)) / (2 * step)
        error = (a - found.plan.sum(2))[:, row]
        torch.testing.assert_close(slope, error, rtol=0, atol=1e-6)


@pytest.mark.parametrize("k", [4, 6])
def test_rows_are_the_transpose_of_columns(k: int) -> None:
    cost, a, b = problem(9)
    columns = sparse_transport(cost, a, b, 1.0, k)
    rows = sparse_transport(cost.mT, b, a, 1.0, k, side="rows")
    torch.testing.assert_close(rows.plan, columns.plan.mT, rtol=0, atol=1e-7)
    torch.testing.assert_close(rows.dual, columns.dual)
    torch.testing.assert_close(rows.f, columns.g)
    torch.testing.assert_close(rows.row_error, columns.column_error)
    assert torch.equal(rows.nonzeros, columns.nonzeros)


@pytest.mark.parametrize("method", ["newton", "lbfgs", "adam"])
def test_padding_and_batching_change_nothing(method: str) -> None:
    cost, a, b = problem(10)
    found = sparse_transport(cost, a, b, 1.0, 4, method=method)  # type: ignore[arg-type]
    wide = torch.full((3, 15, 11), torch.nan, dtype=torch.float64)
    wide[:, :12, :9] = cost
    padded = sparse_transport(
        wide,
        torch.nn.functional.pad(a, (0, 3)),
        torch.nn.functional.pad(b, (0, 2)),
        1.0,
        4,
        method=method,  # type: ignore[arg-type]
    )
    torch.testing.assert_close(padded.dual, found.dual, rtol=1e-5, atol=0)
    assert bool((padded.plan[:, 12:] == 0).all() and (padded.plan[:, :, 9:] == 0).all())
    assert bool((padded.f[:, 12:] == 0).all() and (padded.g[:, 9:] == 0).all())
    for i in range(3):
        single = sparse_transport(cost[i], a[i], b[i], 1.0, 4, method=method)  # type: ignore[arg-type]
        assert single.plan.shape == (12, 9)
        torch.testing.assert_close(single.dual, found.dual[i], rtol=1e-5, atol=0)


def test_uniform_squares_with_one_entry_are_permutations() -> None:
    draw = torch.Generator().manual_seed(11)
    cost = torch.rand(4, 10, 10, generator=draw, dtype=torch.float64)
    even = torch.full((10,), 0.1, dtype=torch.float64)
    found = tight(cost, even, even, k=1)
    assert bool(found.feasible.all())
    for i in range(4):
        torch.testing.assert_close(
            found.plan[i], torch.from_numpy(ot.emd(even.numpy(), even.numpy(), cost[i].numpy()))
        )
    torch.testing.assert_close(found.primal, found.dual, rtol=1e-6, atol=0)


@pytest.mark.parametrize("k", [None, 3])
def test_gradients_are_those_of_the_value(k: int | None) -> None:
    cost, a, b = problem(12, batch=1, n=6, m=5)

    def solve(cost: Tensor, a: Tensor, b: Tensor) -> SparseSolution:
        return quadratic_transport(cost, a, b, 1.0) if k is None else tight(cost, a, b, k=k)

    inputs = [each.clone().requires_grad_() for each in (cost, a, b)]
    found = solve(*inputs)
    (by_primal,) = torch.autograd.grad(found.primal.sum(), inputs[:1], retain_graph=True)
    torch.testing.assert_close(by_primal, found.plan.detach(), rtol=0, atol=1e-12)
    by_cost, by_a, by_b = torch.autograd.grad(found.dual.sum(), inputs)
    draw = torch.Generator().manual_seed(0)
    step = 1e-4
    for _ in range(3):
        change = torch.randn(cost.shape, generator=draw, dtype=torch.float64)
        slope = (solve(cost + step * change, a, b).dual - solve(cost - step * change, a, b).dual) / (2 * step)
        assert float(slope) == pytest.approx(float((by_cost * change).sum()), rel=2e-3, abs=1e-4)
        up, down = (torch.randn(1, size, generator=draw, dtype=torch.float64) for size in (6, 5))
        up, down = up - up.mean(), down - down.mean()  # the masses stay equal
        moved = [solve(cost, a + sign * step * up, b + sign * step * down).dual for sign in (1, -1)]
        slope = (moved[0] - moved[1]) / (2 * step)
        assert float(slope) == pytest.approx(
            float((by_a * up).sum() + (by_b * down).sum()), rel=2e-3, abs=1e-4
        )


def test_float32() -> None:
    cost, a, b = problem(13)
    double = sparse_transport(cost, a, b, 1.0, 4)
    found = sparse_transport(cost.float(), a.float(), b.float(), 1.0, 4)
    assert found.plan.dtype == torch.float32
    torch.testing.assert_close(found.dual.double(), double.dual, rtol=1e-4, atol=0)
    assert bool(found.feasible.all())


def test_exactly_tied_costs_and_extreme_gammas_stay_finite() -> None:
    grid = torch.arange(16, dtype=torch.float64)
    cost = ((grid.unsqueeze(1) - grid).abs() // 4).unsqueeze(0)
    even = torch.full((1, 16), 1 / 16, dtype=torch.float64)
    for gamma in (1e-6, 1.0, 1e6):
        for k in (1, 2, 5):
            found = sparse_transport(cost, even, even, gamma, k)
            assert bool(found.feasible.all())
            assert bool((found.dual <= found.primal + 1e-9 * found.primal.abs()).all())


def test_longer_columns_than_the_candidate_lists() -> None:
    cost, a, b = problem(14, batch=2, n=150, m=20)
    found = sparse_transport(cost, a, b, 5.0, 60)
    assert bool(found.feasible.all())
    assert bool((found.primal - found.dual <= 1e-3 * found.dual).all())


def test_infeasible_sparsity_is_said_not_hidden() -> None:
    cost, a, b = problem(15, batch=1, n=9, m=3)
    found = sparse_transport(cost, a, b, 1.0, 2)  # nine rows, at most six entries
    assert not bool(found.feasible)
    assert int(found.status) == Status.STALLED
    assert float(found.row_error) > 1e-3
    assert "larger k" in found.explain()[0]


@pytest.mark.parametrize(
    "options,message",
    [
        ({"gamma": 0.0}, "gamma must be positive"),
        ({"k": 0}, "k and max_iterations"),
        ({"side": "diagonal"}, "side must be"),
        ({"method": "magic"}, "method must be"),
        ({"form": "dual"}, "semi-dual; use"),
        ({"gap": 0.0}, "gap must be"),
        ({"tolerance": 0.0}, "tolerance must be"),
        ({"max_iterations": 0}, "max_iterations at least 1"),
    ],
)
def test_impossible_arguments_are_refused(options: dict[str, object], message: str) -> None:
    cost, a, b = problem(16)
    given_options = {"gamma": 1.0, "k": 2, **options}
    gamma, k = given_options.pop("gamma"), given_options.pop("k")
    with pytest.raises(ValueError, match=message):
        sparse_transport(cost, a, b, gamma, k, **given_options)  # type: ignore[arg-type]
