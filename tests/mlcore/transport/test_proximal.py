"""The proximal point solver against exact transport, closed cases and its invariances."""

import numpy as np
import ot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcore.transport.proximal import certificate, ipot
from mlcore.transport.solution import Status


def uniform(*sizes: int) -> list[torch.Tensor]:
    return [torch.full((1, size), 1 / size, dtype=torch.float64) for size in sizes]


def random_cost(seed: int, rows: int, columns: int) -> torch.Tensor:
    return torch.rand(1, rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), rows=st.integers(2, 6), columns=st.integers(2, 6))
def test_cost_is_that_of_the_linear_programme(seed: int, rows: int, columns: int) -> None:
    cost = random_cost(seed, rows, columns)
    a, b = uniform(rows, columns)
    solved = ipot(cost, a, b, beta=0.1, steps=4000)
    exact = ot.emd2(a[0].numpy(), b[0].numpy(), cost[0].numpy())
    assert solved.cost.item() == pytest.approx(exact, abs=2e-3)
    assert solved.row_error.item() < 1e-2
    assert solved.column_error.item() < 1e-9


@pytest.mark.parametrize("beta", [0.05, 0.1, 0.5])
def test_limit_does_not_depend_on_beta(beta: float) -> None:
    cost, (a, b) = random_cost(3, 5, 5), uniform(5, 5)
    exact = ot.emd2(a[0].numpy(), b[0].numpy(), cost[0].numpy())
    assert ipot(cost, a, b, beta=beta, steps=6000).cost.item() == pytest.approx(exact, abs=1e-3)


def test_permuted_zero_diagonal_gives_the_permutation() -> None:
    permutation = torch.tensor([2, 0, 3, 1])
    cost = torch.ones(1, 4, 4, dtype=torch.float64)
    cost[0, torch.arange(4), permutation] = 0
    plan = ipot(cost, *uniform(4, 4), steps=200).plan[0]
    assert torch.equal(plan.argmax(1), permutation)
    assert plan.max(1).values.allclose(torch.full((4,), 0.25, dtype=torch.float64), atol=1e-6)


def test_marginals_are_met_when_converged() -> None:
    solved = ipot(random_cost(1, 5, 5), *uniform(5, 5), beta=0.5, steps=5000)
    assert solved.row_error.item() < 1e-6
    assert solved.column_error.item() < 1e-6


def test_constants_added_to_rows_and_columns_change_no_plan() -> None:
    cost, marginals = random_cost(7, 4, 6), uniform(4, 6)
    shifted = (
        cost
        + torch.linspace(0, 1, 4, dtype=torch.float64)[None, :, None]
        + torch.linspace(1, 0, 6)[None, None]
    )
    first, second = (ipot(c, *marginals, beta=0.1, steps=3000).plan for c in (cost, shifted))
    assert first.allclose(second, atol=1e-4)


def test_padding_changes_nothing() -> None:
    cost, (a, b) = random_cost(5, 4, 3), uniform(4, 3)
    wide = torch.full((1, 7, 5), 9.0, dtype=torch.float64)
    wide[:, :4, :3] = cost
    padded = ipot(wide, torch.nn.functional.pad(a, (0, 3)), torch.nn.functional.pad(b, (0, 2)), steps=50)
    assert padded.plan[:, :4, :3].allclose(ipot(cost, a, b, steps=50).plan, atol=1e-12)
    assert padded.plan[:, 4:].abs().sum() == 0
    assert padded.plan[:, :, 3:].abs().sum() == 0


def test_problems_of_a_batch_do_not_touch() -> None:
    a, b = uniform(4, 4)
    costs = [random_cost(seed, 4, 4) for seed in range(3)]
    together = ipot(torch.cat(costs), a.expand(3, -1), b.expand(3, -1), steps=30).plan
    alone = torch.cat([ipot(cost, a, b, steps=30).plan for cost in costs])
    assert together.allclose(alone, atol=1e-12)


def test_sharp_costs_in_single_precision_stay_finite() -> None:
    cost = torch.from_numpy(np.random.default_rng(0).random((2, 40, 12)).astype(np.float32)) * 2
    a, b = torch.full((2, 40), 1 / 40), torch.full((2, 12), 1 / 12)
    solved = ipot(cost, a, b, beta=0.02, steps=300)
    assert torch.isfinite(solved.plan).all()
    assert solved.column_error.max() < 1e-4


def test_bad_input_is_named() -> None:
    a, b = uniform(3, 3)
    with pytest.raises(ValueError, match="needs marginals"):
        ipot(torch.zeros(1, 3, 4, dtype=torch.float64), a, b)
    with pytest.raises(ValueError, match="beta"):
        ipot(torch.zeros(1, 3, 3, dtype=torch.float64), a, b, beta=0)
    with pytest.raises(ValueError, match="not finite"):
        ipot(torch.full((1, 3, 3), torch.nan, dtype=torch.float64), a, b)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000), rows=st.integers(2, 6), columns=st.integers(2, 6), steps=st.integers(1, 2000)
)
def test_a_certificate_bounds_the_optimum_from_below(seed: int, rows: int, columns: int, steps: int) -> None:
    cost = random_cost(seed, rows, columns)
    a, b = uniform(rows, columns)
    solved = ipot(cost, a, b, beta=0.1, steps=steps)
    bound = certificate(cost, a, b, solved.plan)
    exact = ot.emd2(a[0].numpy(), b[0].numpy(), cost[0].numpy())
    assert bound.dual.item() <= exact + 1e-9
    assert (bound.f.unsqueeze(2) + bound.g.unsqueeze(1) <= cost + 1e-9).all()


def test_a_good_plan_gets_a_tight_certificate_and_padding_changes_nothing() -> None:
    cost, (a, b) = random_cost(1, 6, 4), uniform(6, 4)
    solved = ipot(cost, a, b, beta=0.05, steps=6000)
    bound = certificate(cost, a, b, solved.plan)
    assert (solved.cost - bound.dual).item() < 0.01
    wide = torch.nn.functional.pad(cost, (0, 2, 0, 3), value=float("nan"))
    far = [torch.nn.functional.pad(each, (0, extra)) for each, extra in ((a, 3), (b, 2))]
    padded = certificate(wide, *far, torch.nn.functional.pad(solved.plan, (0, 2, 0, 3)))
    assert padded.dual.item() == pytest.approx(bound.dual.item(), abs=1e-12)


def test_the_status_follows_the_marginals() -> None:
    cost, (a, b) = random_cost(2, 5, 7), uniform(5, 7)
    assert ipot(cost, a, b, beta=0.1, steps=1).status.item() == Status.ITERATION_LIMIT
    assert ipot(cost, a, b, beta=0.1, steps=5000, tolerance=1e-2).status.item() == Status.CONVERGED
