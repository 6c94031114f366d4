"""The laboratory: its numbers are those of closed forms and other libraries, its words claim no more than it knows."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import numpy as np
import ot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcore.runtime.errors import InputError, LimitError
from mlcore.transport.laboratory.clouds import PAGE
from mlcore.transport.laboratory.grounds import GROUNDS
from mlcore.transport.laboratory.solvers import SOLVERS
from mlcore.transport.laboratory.solving import LabRequest, describe, estimate, prepare, run, solve
from mlcore.transport.laboratory.sweeps import SHARES, sweep

MOONS = {"sample": "moons", "n": 30, "seed": 1}
RING = {"sample": "ring", "n": 40, "seed": 2}


def strict(answer):
    """The answer as other programs get it; fails on what JSON cannot say."""
    return json.loads(json.dumps(answer, allow_nan=False))


def test_moving_a_cloud_costs_the_square_of_the_move():
    grid = {"sample": "grid", "n": 25, "seed": 0}
    answer = strict(solve(LabRequest(grid, {**grid, "shift": [0.5, 0.25]}, solver="exact")))
    assert answer["numbers"]["cost"] == pytest.approx(0.5**2 + 0.25**2, abs=1e-12)
    assert abs(answer["numbers"]["gap"]) < 1e-12
    assert answer["status"]["converged"]
    assert answer["problem"]["target"]["recipe"]["shift"] == [0.5, 0.25]


@pytest.mark.parametrize("solver", list(SOLVERS))
def test_every_solver_that_is_offered_works_and_agrees_with_another_library(solver):
    answer = strict(solve(LabRequest(MOONS, RING, solver=solver, check=True)))
    assert answer["check"]["agrees"] is True, answer["check"]
    assert answer["check"]["library"].startswith(("POT", "SciPy"))
    assert set(answer["numbers"]) <= set(answer["quantities"])
    assert answer["plan"]["shown"] + answer["plan"]["left_out"] == answer["plan"]["of"]
    assert answer["plan"]["of"] == answer["numbers"]["nonzeros"]


@pytest.mark.parametrize("cost", list(GROUNDS))
def test_every_cost_that_is_offered_works(cost):
    answer = solve(LabRequest(MOONS, RING, cost=cost, solver="exact"))
    assert answer["status"]["converged"]
    assert answer["problem"]["cost"]["least"] >= 0


def test_a_wrong_plan_is_not_vouched_for(monkeypatch):
    from mlcore.transport.laboratory import crosscheck

    truth = ot.emd
    monkeypatch.setattr(crosscheck, "_LINEAR_PROGRAMME", 0)
    monkeypatch.setattr(ot, "emd", lambda a, b, C: 0.5 * truth(a, b, C) + 0.5 * np.outer(a, b))
    request = LabRequest(MOONS, RING, solver="ipot", parameters={"steps": 2000}, check=True)
    assert solve(request)["check"]["agrees"] is False


@pytest.mark.parametrize("share", [0.99, 1.01])
def test_a_wrong_dual_value_is_not_vouched_for(share):
    from mlcore.transport.laboratory.crosscheck import crosscheck

    solved = run(prepare(LabRequest(MOONS, RING, solver="sparse")), PAGE)
    wrong = replace(solved.outcome, dual=share * solved.outcome.dual)
    assert crosscheck("sparse", solved.setting, solved.outcome, solved.prepared.values)["agrees"] is True
    assert crosscheck("sparse", solved.setting, wrong, solved.prepared.values)["agrees"] is False


@pytest.mark.parametrize(("side", "k"), list(itertools.product(["rows", "columns"], [2, 5])))
def test_no_point_has_more_links_than_asked_for(side, k):
    answer = strict(solve(LabRequest(MOONS, RING, solver="sparse", parameters={"side": side, "k": k})))
    assert answer["status"]["converged"], answer["status"]
    assert max(answer["support"][side]) == answer["numbers"][f"links_{side[:-1]}"] == k
    assert sum(answer["support"]["rows"]) == sum(answer["support"]["columns"]) == answer["plan"]["of"]
    assert answer["numbers"]["gap"] > -1e-9
    assert answer["numbers"]["gamma"] == pytest.approx(10 * answer["problem"]["cost"]["mean"])
    plan = np.zeros((30, 40))
    for row, column, mass in answer["plan"]["links"]:
        plan[row, column] = mass
    assert plan.sum(1) == pytest.approx(np.full(30, 1 / 30), abs=1e-8)
    assert plan.sum(0) == pytest.approx(np.full(40, 1 / 40), abs=1e-8)


def test_enough_links_leave_the_quadratic_plan():
    free = solve(LabRequest(MOONS, RING, solver="quadratic"))
    most = free["numbers"]["links_row"]
    bound = solve(LabRequest(MOONS, RING, solver="sparse", parameters={"k": most}))
    assert bound["numbers"]["primal"] == pytest.approx(free["numbers"]["primal"], rel=1e-4)
    tighter = solve(LabRequest(MOONS, RING, solver="sparse", parameters={"k": 2}))
    assert tighter["numbers"]["dual"] > bound["numbers"]["dual"]


def test_a_weak_square_is_nearly_exact():
    exact = solve(LabRequest(MOONS, RING, solver="exact"))["numbers"]["cost"]
    found = solve(LabRequest(MOONS, RING, solver="quadratic", parameters={"gamma": 0.1}))["numbers"]
    assert exact - 1e-9 <= found["cost"] <= exact * 1.001


@pytest.mark.parametrize(
    ("side", "words"),
    [("rows", "30 rows with 1 link each reach 30 of 40 columns"), ("columns", "there may be none")],
)
def test_a_plan_that_misses_its_marginals_is_never_called_converged(side, words):
    answer = strict(solve(LabRequest(MOONS, RING, solver="sparse", parameters={"side": side, "k": 1})))
    assert not answer["status"]["converged"]
    assert words in answer["status"]["sentence"]
    assert "larger k" in answer["status"]["remedy"]
    assert max(answer["support"][side]) == 1
    assert max(answer["numbers"]["row_error"], answer["numbers"]["column_error"]) > 0.01


def test_too_few_iterations_are_not_called_converged():
    answer = solve(LabRequest(MOONS, RING, parameters={"epsilon": 0.001, "max_iterations": 3}))
    assert answer["status"]["name"] == "iteration limit"
    assert not answer["status"]["converged"]
    assert "iterations" in answer["status"]["remedy"]
    assert answer["numbers"]["divergence"] is None
    assert (
        max(answer["numbers"]["row_error"], answer["numbers"]["column_error"])
        > answer["numbers"]["tolerance"]
    )


def test_strengths_are_shares_of_a_named_statistic():
    answers = {}
    for name, statistic in (("mean", "mean"), ("max", "greatest"), ("std", "deviation")):
        answer = solve(LabRequest(MOONS, RING, parameters={"epsilon": 0.1, "relative": name}))
        answers[name] = answer["numbers"]["epsilon"]
        assert answers[name] == pytest.approx(0.1 * answer["problem"]["cost"][statistic])
    absolute = solve(LabRequest(MOONS, RING, parameters={"epsilon": answers["mean"], "relative": "absolute"}))
    assert absolute["numbers"]["epsilon"] == pytest.approx(answers["mean"])
    assert len(set(answers.values())) == 3


def test_weights_of_other_masses_are_scaled_aloud_or_kept():
    source = {"points": [[0, 0], [1, 0]], "weights": [3, 1]}
    target = {"points": [[0, 1], [1, 1]], "weights": [1, 1]}
    balanced = solve(LabRequest(source, target, solver="exact"))
    assert balanced["problem"]["scaled"]
    assert "4 and 2" in balanced["problem"]["note"]
    assert balanced["problem"]["mass"] == [pytest.approx(1), pytest.approx(1)]
    assert balanced["numbers"]["cost"] == pytest.approx(1.25)
    free = solve(LabRequest(source, target, solver="unbalanced", parameters={"rho_a": 0.5, "rho_b": 0.5}))
    assert free["problem"]["mass"] == [4.0, 2.0]
    assert not free["problem"]["scaled"]
    assert 0 < free["numbers"]["mass"] < 4


def test_unbalanced_with_both_sides_demanded_needs_equal_masses():
    source = {"points": [[0, 0]], "weights": [3]}
    target = {"points": [[0, 1]], "weights": [1]}
    with pytest.raises(InputError) as error:
        solve(LabRequest(source, target, solver="unbalanced", parameters={"rho_a": "inf", "rho_b": "inf"}))
    assert error.value.field == "parameters.rho_a"
    assert "3" in error.value.message


def test_two_solvers_are_compared_on_the_same_points():
    answer = strict(solve(LabRequest(MOONS, RING, against={"solver": "exact"})))
    assert answer["difference"]["excess_over_exact"][1] == 0
    assert answer["difference"]["excess_over_exact"][0] > 0
    assert answer["difference"]["cost"] == pytest.approx(
        answer["against"]["numbers"]["cost"] - answer["numbers"]["cost"]
    )
    same = solve(LabRequest(MOONS, RING, solver="exact", against={"solver": "exact"}))
    assert same["difference"]["moved"] == 0


def test_the_same_seed_gives_the_same_answer():
    first, second = (solve(LabRequest(MOONS, RING)) for _ in range(2))
    for answer in (first, second):
        answer["numbers"].pop("seconds")
    assert first == second


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("solver", {"solver": "magic"}),
        ("cost", {"cost": "magic"}),
        ("parameters.epsilon", {"parameters": {"epsilon": 0}}),
        ("parameters.epsilon", {"parameters": {"epsilon": float("nan")}}),
        ("parameters.epsilon", {"parameters": {"epsilon": True}}),
        ("parameters.epsilon", {"parameters": {"epsilon": "small"}}),
        ("parameters.max_iterations", {"parameters": {"max_iterations": 1.5}}),
        ("parameters.relative", {"parameters": {"relative": "median"}}),
        ("parameters.gamma", {"parameters": {"gamma": 1}}),
        ("cost_parameters.p", {"cost": "pnorm", "cost_parameters": {"p": 0.5}}),
        ("against.solver", {"against": {"solver": "magic"}}),
        ("against.parameters.epsilon", {"against": {"solver": "sinkhorn", "parameters": {"epsilon": -1}}}),
        ("source", {"source": {}}),
        ("source", {"source": {"sample": "moons", "points": [[0, 0]]}}),
        ("source.sample", {"source": {"sample": "cheese"}}),
        ("source.n", {"source": {"sample": "moons", "n": 0}}),
        ("source.n", {"source": {"sample": "moons", "n": "many"}}),
        ("source.n", {"source": {"sample": "moons", "n": 10**9}}),
        ("source.seed", {"source": {"sample": "moons", "seed": -1}}),
        ("source.shift", {"source": {"sample": "moons", "shift": [1]}}),
        ("source.shift", {"source": {"sample": "moons", "shift": ["a", "b"]}}),
        ("source.points", {"source": {"points": []}}),
        ("source.points", {"source": {"points": [[0, 0], [1]]}}),
        ("source.points", {"source": {"points": [[0, float("inf")]]}}),
        ("source.points", {"source": {"points": [[0, 1e300]]}}),
        ("source.points", {"source": {"points": [[0.0] * 33]}}),
        ("source.weights", {"source": {"points": [[0, 0]], "weights": [-1]}}),
        ("source.weights", {"source": {"points": [[0, 0]], "weights": [0]}}),
        ("source.weights", {"source": {"points": [[0, 0]], "weights": [1, 2]}}),
        ("target", {"target": {"points": [[0, 0, 0]]}}),
        ("links", {"links": -1}),
        ("device", {"device": "abacus"}),
    ],
)
def test_what_cannot_be_used_is_named(field, changes):
    with pytest.raises(InputError) as error:
        solve(LabRequest(**{"source": MOONS, "target": RING, **changes}))
    assert error.value.field == field
    assert error.value.remedy


def test_equal_points_have_no_mean_to_be_relative_to():
    here = {"points": [[1, 1]]}
    with pytest.raises(InputError) as error:
        solve(LabRequest(here, here))
    assert error.value.field == "parameters.relative"
    assert solve(LabRequest(here, here, solver="exact"))["numbers"]["cost"] == 0


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(1, 12),
    m=st.integers(1, 12),
    solver=st.sampled_from(list(SOLVERS)),
    scale=st.sampled_from([1e-3, 1.0, 1e5]),
    seed=st.integers(0, 1000),
)
def test_any_small_problem_is_answered_in_numbers_that_json_can_say(n, m, solver, scale, seed):
    random = np.random.default_rng(seed)
    source = {
        "points": (scale * random.standard_normal((n, 3))).tolist(),
        "weights": random.random(n).tolist(),
    }
    target = {"points": (scale * random.standard_normal((m, 3))).tolist()}
    answer = strict(solve(LabRequest(source, target, solver=solver)))
    if answer["status"]["converged"] and answer["numbers"]["dual"] is not None:
        slack = 1e-4 * (abs(answer["numbers"]["primal"]) + 1e-9)
        if (
            solver != "ipot"
        ):  # its marginals are met to 1e-3 or so: its cost may lie on either side of its bound
            assert -slack <= answer["numbers"]["gap"]
            assert answer["numbers"]["gap"] <= slack or solver == "sparse", (
                "a k-sparse plan may lie above its bound"
            )


def test_an_estimate_grows_with_the_problem_and_says_it_in_words():
    small, large = (
        estimate(LabRequest({**MOONS, "n": n}, {**RING, "n": n}, parameters={"max_iterations": 1000}))
        for n in (100, 800)
    )
    assert large["entries"] == 64 * small["entries"] == 640_000
    assert large["memory_bytes"] > 50 * small["memory_bytes"]
    assert large["seconds"] > small["seconds"]
    assert large["seconds_at_most"] >= large["seconds"]
    assert "MB" in large["sentence"]


@pytest.mark.parametrize("ask", [solve, estimate])
def test_what_is_too_large_or_too_long_is_refused_before_it_is_computed(ask):
    with pytest.raises(LimitError, match="limit is 1,000,000") as error:
        ask(LabRequest({**MOONS, "n": 3_000}, {**RING, "n": 3_000}))
    assert "1,000 points a side" in error.value.remedy
    with pytest.raises(LimitError, match="every iteration") as error:
        ask(LabRequest({**MOONS, "n": 900}, {**RING, "n": 900}, parameters={"max_iterations": 100_000}))
    assert error.value.field == "parameters.max_iterations"


def test_the_description_says_what_there_is():
    known = strict(describe())
    assert [each["name"] for each in known["solvers"]] == list(SOLVERS)
    assert known["limits"]["points"] == PAGE.points
    for solver in known["solvers"]:
        defaults = {each["name"]: each["default"] for each in solver["parameters"]}
        assert (
            solve(LabRequest(MOONS, RING, solver=solver["name"], parameters=defaults))["numbers"]["cost"] > 0
        )


def test_a_sweep_goes_from_blurred_to_exact():
    found = strict(sweep(LabRequest(MOONS, RING)))
    exact = solve(LabRequest(MOONS, RING, solver="exact"))["numbers"]["cost"]
    assert found["exact"] == exact
    assert [row["share"] for row in found["rows"]] == list(SHARES)
    for larger, smaller in itertools.pairwise(found["rows"]):
        assert smaller["excess"] < larger["excess"]
        assert smaller["blur"] < larger["blur"]
        assert smaller["fan_out"] < larger["fan_out"]
    assert found["rows"][-1]["excess"] < 0.01 * exact
    with pytest.raises(InputError, match="250,000"):
        sweep(LabRequest({**MOONS, "n": 600}, {**RING, "n": 600}))
