"""Exact transport against brute force, POT, duality and its invariances."""

import itertools
import warnings

import numpy as np
import ot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcore.transport.exact import exact_transport, one_dimensional
from mlcore.transport.solution import Status

D = torch.float64


def random_problem(seed: int, rows: int, columns: int, batch: int = 1) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    cost, a, b = (
        torch.rand(batch, *shape, generator=generator, dtype=D)
        for shape in ((rows, columns), (rows,), (columns,))
    )
    return cost - 0.3, a / a.sum(1, keepdim=True), b / b.sum(1, keepdim=True)


def uniform(n: int, dtype: torch.dtype = D) -> torch.Tensor:
    return torch.full((n,), 1 / n, dtype=dtype)


@pytest.mark.parametrize("potentials", [True, False])
@pytest.mark.parametrize("n", [1, 2, 4, 6])
def test_uniform_square_is_the_best_permutation(n: int, potentials: bool) -> None:
    cost = random_problem(n, n, n)[0][0]
    best = min(sum(cost[i, s[i]].item() for i in range(n)) for s in itertools.permutations(range(n))) / n
    solved = exact_transport(cost, uniform(n), uniform(n), potentials=potentials)
    assert solved.cost.item() == pytest.approx(best, abs=1e-14)
    assert solved.converged
    assert ((solved.plan > 0).sum(1) == 1).all()
    assert solved.row_error < 1e-14
    assert solved.column_error < 1e-14


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), rows=st.integers(1, 8), columns=st.integers(1, 8))
def test_optimal_by_duality_and_equal_to_pot(seed: int, rows: int, columns: int) -> None:
    cost, a, b = random_problem(seed, rows, columns)
    solved = exact_transport(cost, a, b)
    assert solved.converged.all()
    assert (solved.f[0][:, None] + solved.g[0] - cost[0]).max() <= 1e-15
    assert (solved.f * a).sum() + (solved.g * b).sum() == pytest.approx(solved.dual.item(), abs=1e-14)
    assert solved.dual.item() == pytest.approx(solved.primal.item(), abs=1e-12)
    assert solved.primal.item() == solved.cost.item()
    slack = cost[0] - solved.f[0][:, None] - solved.g[0]
    assert slack[solved.plan[0] > 1e-12].abs().max() < 1e-12  # complementary slackness
    assert solved.cost.item() == pytest.approx(
        ot.emd2(a[0].numpy(), b[0].numpy(), cost[0].numpy()), abs=1e-12
    )


def test_without_potentials_the_dual_is_still_a_lower_bound() -> None:
    cost = random_problem(3, 20, 20)[0]
    loose = exact_transport(cost, uniform(20), uniform(20), potentials=False)
    tight = exact_transport(cost, uniform(20), uniform(20))
    assert (loose.f[0][:, None] + loose.g[0] - cost[0]).max() <= 1e-15
    assert loose.dual < tight.dual - 1e-3
    assert loose.cost.item() == pytest.approx(tight.cost.item(), abs=1e-13)


@pytest.mark.parametrize("potentials", [True, False])
def test_padding_changes_nothing_and_its_cost_is_not_read(potentials: bool) -> None:
    cost = random_problem(5, 4, 4)[0][0]
    a, b = (uniform(4), uniform(4))
    wide = torch.full((7, 6), torch.nan, dtype=D)
    wide[torch.tensor([0, 2, 3, 6])[:, None], torch.tensor([1, 2, 3, 5])] = cost
    wide_a, wide_b = torch.zeros(7, dtype=D), torch.zeros(6, dtype=D)
    wide_a[[0, 2, 3, 6]], wide_b[[1, 2, 3, 5]] = a, b
    padded = exact_transport(wide, wide_a, wide_b, potentials=potentials)
    alone = exact_transport(cost, a, b, potentials=potentials)
    assert torch.equal(padded.plan[[0, 2, 3, 6]][:, [1, 2, 3, 5]], alone.plan)
    assert padded.plan.sum().item() == pytest.approx(1)
    assert padded.f[[1, 4, 5]].abs().sum() == padded.g[[0, 4]].abs().sum() == 0
    assert padded.dual.item() == pytest.approx(alone.dual.item(), abs=1e-14)
    assert padded.plan.dim() == 2
    assert padded.status.dim() == 0


@pytest.mark.parametrize("workers", [None, 1, 3])
def test_problems_of_a_batch_do_not_touch(workers: int | None) -> None:
    cost, a, b = random_problem(11, 6, 5, batch=5)
    a[1, 2:] = 0
    b[1], b[3, 0] = 0, 0
    b[1, 1] = a[1].sum()
    b = b * (a.sum(1) / b.sum(1)).unsqueeze(1)
    together = exact_transport(cost, a, b, workers=workers)
    for i in range(5):
        alone = exact_transport(cost[i], a[i], b[i])
        assert torch.equal(together.plan[i], alone.plan)
        assert torch.equal(together.f[i], alone.f)
        assert torch.equal(together.cost[i], alone.cost)


def test_mass_scales_the_value() -> None:
    cost, a, b = random_problem(2, 4, 6)
    once, thrice = exact_transport(cost, a, b), exact_transport(cost, 3 * a, 3 * b)
    assert thrice.cost.item() == pytest.approx(3 * once.cost.item(), abs=1e-13)
    assert thrice.plan.allclose(3 * once.plan, atol=1e-13)


def test_gradients_are_the_plan_and_the_potentials() -> None:
    cost, a, b = random_problem(8, 4, 5)
    for tensor in (cost, a, b):
        tensor.requires_grad_()
    solved = exact_transport(cost, a, b)
    for value in (solved.primal, solved.dual):
        by_cost, by_a = torch.autograd.grad(value.sum(), (cost, a), retain_graph=True)
        assert torch.equal(by_cost, solved.plan)
        step = 1e-6 * torch.tensor([[1.0, -2.0, 0.5, 0.5]], dtype=D)  # keeps the mass
        moved = exact_transport(cost.detach(), (a + step).detach(), b.detach()).cost
        assert (moved - solved.cost).item() == pytest.approx((by_a * step).sum().item(), abs=1e-12)
        nudge = 1e-6 * random_problem(9, 4, 5)[0]
        moved = exact_transport((cost + nudge).detach(), a.detach(), b.detach()).cost
        assert (moved - solved.cost).item() == pytest.approx((by_cost * nudge).sum().item(), abs=1e-12)
    assert torch.equal(torch.autograd.grad(solved.cost.sum(), cost)[0], solved.plan)
    with pytest.raises(ValueError, match="potentials=True"):
        exact_transport(cost, a, b, potentials=False)


def test_float32_agrees_with_float64() -> None:
    cost, a, b = random_problem(4, 30, 20, batch=3)
    wide, narrow = exact_transport(cost, a, b), exact_transport(cost.float(), a.float(), b.float())
    assert narrow.plan.dtype == torch.float32
    assert narrow.converged.all()
    assert narrow.cost.double().allclose(wide.cost, atol=1e-6)


def test_running_out_of_pivots_is_said_and_the_dual_stays_a_bound() -> None:
    cost, a, b = random_problem(1, 60, 60, batch=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the status says it, not a warning
        short, full = exact_transport(cost, a, b, iterations=5), exact_transport(cost, a, b)
    assert (short.status == Status.ITERATION_LIMIT).all()
    assert not short.converged.any()
    assert (short.iterations == 5).all()
    assert len(short.explain()) == 2
    assert "iterations ran out" in short.explain()[0]
    assert (short.dual <= full.cost + 1e-12).all()
    assert full.converged.all()
    assert full.explain() == []


def test_potentials_that_leave_a_gap_are_not_called_converged(monkeypatch: pytest.MonkeyPatch) -> None:
    cost, a, b = random_problem(1, 6, 6, batch=2)
    solve = ot.emd

    def without_potentials(*problem: np.ndarray, **options: object) -> tuple[np.ndarray, dict]:
        plan, log = solve(*problem, **options)
        return plan, {**log, "u": 0 * log["u"]}

    monkeypatch.setattr(ot, "emd", without_potentials)
    assert (exact_transport(cost, a, b).status == Status.STALLED).all()


def test_large_problems_are_solved_to_the_last_digits() -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 500, 3, generator=generator, dtype=D)
    cost = torch.cdist(x, y).square()
    solved = exact_transport(cost, uniform(500), uniform(500))
    assert solved.converged
    assert (solved.primal - solved.dual).abs() < 1e-11
    assigned = exact_transport(cost, uniform(500), uniform(500), potentials=False)
    assert assigned.cost.item() == pytest.approx(solved.cost.item(), rel=1e-12)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.5])
def test_the_line_in_closed_form(p: float) -> None:
    generator = torch.Generator().manual_seed(2)
    x, y = torch.randn(3, 9, generator=generator, dtype=D), torch.randn(3, 14, generator=generator, dtype=D)
    _, a, b = random_problem(6, 9, 14, batch=3)
    a[0, 3:] = 0
    b[0] *= a[0].sum()
    y[1, 4] = y[1, 5]
    closed = one_dimensional(x, y, a, b, p)
    solved = exact_transport((x.unsqueeze(2) - y.unsqueeze(1)).abs() ** p, a, b)
    assert closed.allclose(solved.cost, atol=1e-12)


def test_the_line_has_gradients() -> None:
    x = torch.tensor([0.1, 2.0, -1.0], dtype=D, requires_grad=True)
    y = torch.tensor([0.5, 0.7], dtype=D, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, y: one_dimensional(x, y, uniform(3), uniform(2), 2), (x, y))
    shifted = one_dimensional(x, x + 0.25, uniform(3), uniform(3), 2)
    assert shifted.item() == pytest.approx(0.0625)


def test_faults_are_named() -> None:
    cost, a, b = random_problem(0, 3, 4)
    with pytest.raises(ValueError, match=r"different masses, 1(\.0+)? and 1\.5"):
        exact_transport(cost, a, 1.5 * b)
    with pytest.raises(ValueError, match=r"1\.0.*1\.5"):
        one_dimensional(a, b, a, 1.5 * b)
    with pytest.raises(ValueError, match="p must be at least 1"):
        one_dimensional(a, b, a, b, 0.5)
    with pytest.raises(ValueError, match="at least 1"):
        exact_transport(cost, a, b, workers=0)
    broken = cost.clone()
    broken[0, 1, 1] = np.inf
    with pytest.raises(ValueError, match="not finite"):
        exact_transport(broken, a, b)
