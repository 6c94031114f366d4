"""The laboratory: its numbers are those of closed forms and other libraries, its words claim no more than it knows."""

from __future__ import annotations

import io
import itertools
import json
import math
import zipfile

import numpy as np
import ot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcore.__main__ import main
from mlcore.runtime.errors import InputError, LimitError
from mlcore.transport import planview
from mlcore.transport.clouds import PAGE, Limits, make_cloud
from mlcore.transport.grounds import GROUNDS
from mlcore.transport.laboratory import LabRequest, describe, estimate, prepare, run, solve
from mlcore.transport.planfiles import FILES, file_of
from mlcore.transport.pointfiles import read_points, read_text
from mlcore.transport.samples import SAMPLES, sample
from mlcore.transport.solvers import SOLVERS
from mlcore.transport.sweeps import SHARES, sweep

MOONS = {"sample": "moons", "n": 30, "seed": 1}
RING = {"sample": "ring", "n": 40, "seed": 2}


def strict(answer):
    """The answer as other programs get it; fails on what JSON cannot say."""
    return json.loads(json.dumps(answer, allow_nan=False))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# -- solving -----------------------------------------------------------------------------------------------------------


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
    from mlcore.transport import elsewhere

    truth = ot.emd
    monkeypatch.setattr(elsewhere, "_LINEAR_PROGRAMME", 0)
    monkeypatch.setattr(ot, "emd", lambda a, b, C: 0.5 * truth(a, b, C) + 0.5 * np.outer(a, b))
    request = LabRequest(MOONS, RING, solver="ipot", parameters={"steps": 2000}, check=True)
    assert solve(request)["check"]["agrees"] is False


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
        assert abs(answer["numbers"]["gap"]) <= 1e-4 * (abs(answer["numbers"]["primal"]) + 1e-9)


# -- estimates and limits ----------------------------------------------------------------------------------------------


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


# -- what is said of a plan --------------------------------------------------------------------------------------------


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


# -- clouds ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(SAMPLES))
def test_sampled_clouds_are_finite_near_the_origin_and_repeatable(name):
    points = sample(name, 101, 7)
    assert points.shape == (101, 2)
    assert np.abs(points).max() < 3
    assert np.array_equal(points, sample(name, 101, 7))
    assert name == "grid" or not np.array_equal(points, sample(name, 101, 8))
    assert sample(name, 1, 0).shape == (1, 2)


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def npz(**arrays):
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def test_points_survive_every_kind_of_file(rng):
    points, weights = rng.normal(size=(8, 3)), rng.random(8)
    lines = "\n".join(
        ",".join(map(repr, [*row, w])) for row, w in zip(points.tolist(), weights.tolist(), strict=True)
    )
    for name, content, weighted in (
        ("a.npy", npy(points), False),
        ("a.npy", npy(points.astype(np.float32)), False),
        ("a.npz", npz(points=points, weights=weights), True),
        ("a.npz", npz(anything=points), False),
        ("a.npz", npz(source=points, target=points[:2], source_weights=weights), True),
        ("A.CSV", f"x1,x2,x3,weight\n{lines}\n".encode(), True),
        ("a.csv", f"\ufeff# drawn by hand\nx1;x2;x3;weight\n{lines.replace(',', ';')}\n".encode(), True),
    ):
        read, masses = read_points(name, content)
        assert np.allclose(read, points, atol=1e-6), name
        assert (masses is not None) == weighted
        if weighted:
            assert np.allclose(masses, weights)
    assert read_points("a.npy", npy(np.arange(4)))[0].shape == (4, 1)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.npy", b"", "empty"),
        ("a.npy", b"\x93NUMPY", "no .npy"),
        ("a.npy", b"not numpy at all", "no .npy"),
        ("a.npy", npy(np.zeros((9, 2)))[:-5], "cut off"),
        ("a.npy", npy(np.zeros((2, 2, 2))), "table"),
        ("a.npy", npy(np.zeros((0, 2))), "table"),
        ("a.npy", npy(np.array([object()])), "never read"),
        ("a.npy", npy(np.array(["a"])), "type"),
        ("a.npy", npy(np.ones((2, 2), complex)), "type"),
        ("a.npy", npy(np.zeros((2, 2))).replace(b"(2, 2), }", b"((((((((("), "no .npy"),
        ("a.npz", b"PK\x03\x04 and nothing", "damaged"),
        ("a.npz", npz(u=np.zeros((2, 2)), v=np.zeros((2, 2))), "no array called points"),
        ("a.csv", b"\xff\xfe\x00", "UTF-8"),
        ("a.csv", b"1,2\n3\n", "1 values where the lines above have 2"),
        ("a.csv", b"1,2\n3,nan\n", "not a number"),
        ("a.csv", b"x,y\n", "no point below"),
        ("a.csv", b"weight\n1\n", "no coordinates"),
        ("a.csv", b"# nothing\n", "no points"),
        ("a.exe", b"MZ", "not read"),
    ],
)
def test_files_that_cannot_be_read_say_why(name, content, words):
    with pytest.raises(InputError, match=words) as error:
        read_points(name, content)
    assert error.value.remedy


def test_a_header_that_announces_more_than_there_is_reserves_nothing():
    head = npy(np.zeros((2, 2)))
    lie = head.replace(b"(2, 2), }        ", b"(2000000000, 2), }")[: len(head)]
    with pytest.raises(InputError, match="announces"):
        read_points("a.npy", lie)


def test_an_archive_that_unpacks_to_too_much_is_not_unpacked():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("points.npy", npy(np.zeros((200, 2)))[:-8] + bytes(50_000_000))
    small = Limits(points=100, entries=100, dimension=2, file_bytes=10_000_000, seconds=1)
    with pytest.raises(LimitError, match="limit is 100"):
        make_cloud({"file": {"name": "a.npz", "content": stream.getvalue()}}, "source", small)


def test_a_bad_line_is_named_by_number():
    with pytest.raises(InputError) as error:
        read_text("x y\n1 2\n\n3 four\n")
    assert error.value.place == "line 4, column 2"


# -- files and the command line ----------------------------------------------------------------------------------------


def test_what_is_written_opens_again():
    request = LabRequest(MOONS, RING, solver="exact")
    plan = np.load(io.BytesIO(file_of(request, "plan.npy")[2]))
    answer = solve(request)
    assert plan.shape == (30, 40)
    problem = np.load(io.BytesIO(file_of(request, "problem.npz")[2]))
    assert float((plan * problem["cost"]).sum()) == pytest.approx(answer["numbers"]["cost"])
    lines = file_of(request, "links.csv")[2].decode().splitlines()
    assert len(lines) - 1 == answer["numbers"]["nonzeros"]
    row, column, mass, *_ = lines[1].split(",")
    assert plan[int(row), int(column)] == float(mass)
    content = file_of(request, "problem.npz")[2]
    again = {side: {"file": {"name": "problem.npz", "content": content}} for side in ("source", "target")}
    assert solve(LabRequest(**again, solver="exact"))["numbers"]["cost"] == pytest.approx(
        answer["numbers"]["cost"]
    )
    assert set(FILES) == {"links.csv", "plan.npy", "plan.npz", "problem.npz"}
    with pytest.raises(InputError, match="no file"):
        file_of(request, "plan.pkl")


def test_the_snippet_for_pot_runs_and_gives_our_cost(tmp_path, monkeypatch):
    for solver in SOLVERS:
        for cost, options in (("squared_euclidean", {}), ("pnorm", {"p": 3.0}), ("elastic", {})):
            steps = {"steps": 3000} if solver == "ipot" else {}
            request = LabRequest(
                MOONS, RING, cost=cost, cost_parameters=options, solver=solver, parameters=steps
            )
            answer = solve(request)
            (tmp_path / "problem.npz").write_bytes(file_of(request, "problem.npz")[2])
            monkeypatch.chdir(tmp_path)
            names: dict = {}
            exec(answer["code"]["pot"].replace("print(", "found = ("), names)
            wanted = answer["numbers"]["cost"]
            assert float(names["found"]) == pytest.approx(wanted, rel=2e-3 if solver == "ipot" else 1e-5), (
                solver
            )


@pytest.mark.slow  # jax compiles each program for many seconds
@pytest.mark.parametrize(
    ("solver", "cost"),
    [
        ("sinkhorn", "squared_euclidean"),
        ("sinkhorn", "euclidean"),
        ("sinkhorn", "cosine"),
        ("sinkhorn", "pnorm"),
        ("unbalanced", "squared_euclidean"),
    ],
)
def test_the_snippet_for_ott_runs_and_gives_our_cost(tmp_path, monkeypatch, solver, cost):
    pytest.importorskip("ott", reason="ott-jax is not installed")
    monkeypatch.chdir(tmp_path)
    source = {"points": sample("moons", 12, 1).tolist(), "weights": [1.0] * 6 + [2.0] * 6}
    request = LabRequest(source, RING, cost=cost, solver=solver)
    answer = solve(request)
    (tmp_path / "problem.npz").write_bytes(file_of(request, "problem.npz")[2])
    names: dict = {}
    exec(answer["code"]["ott"].replace("print(", "found = ("), names)
    assert float(names["found"]) == pytest.approx(answer["numbers"]["cost"], rel=1e-4)


def test_the_command_line_says_it_in_one_line_of_json(tmp_path, capsys, rng):
    np.save(tmp_path / "a.npy", rng.normal(size=(20, 3)))
    np.savez(tmp_path / "b.npz", points=rng.normal(size=(15, 3)), weights=rng.random(15))
    words = ["transport", "plan", "--source", f"{tmp_path}/a.npy", "--target", f"{tmp_path}/b.npz"]
    words += ["--epsilon", "0.05", "--relative", "mean", "--cost", "sqeuclidean", "--json"]
    assert main([*words, "--out", f"{tmp_path}/plan.npz"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["converged"]
    plan = np.load(tmp_path / "plan.npz")
    assert plan["plan"].shape == (20, 15)
    assert plan["plan"].sum(1) == pytest.approx(plan["a"], abs=1e-6)
    x, y = np.load(tmp_path / "a.npy"), np.load(tmp_path / "b.npz")["points"]
    assert found["cost"] == pytest.approx(float((plan["plan"] * ot.dist(x, y)).sum()), rel=1e-9)
    assert main([*words[:6], "--max-iterations", "2", "--epsilon", "0.001"]) == 1
    assert "Not converged" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ["--source", "nowhere.npy", "--target", "ring:9:1"],
        ["--source", "ring:many:1", "--target", "ring:9:1"],
        ["--source", "ring:9:1", "--target", "ring:9:1", "--epsilon", "soft"],
        ["--source", "ring:9:1", "--target", "ring:9:1", "--out", "plan.pkl"],
    ],
)
def test_the_command_line_refuses_in_words(words, capsys):
    assert main(["transport", "plan", *words]) == 2
    assert capsys.readouterr().err.startswith("mlcore: ")


def test_the_command_line_moves_a_sampled_cloud(capsys):
    words = [
        "transport",
        "plan",
        "--source",
        "grid:16:0",
        "--target",
        "grid:16:0:1:-2",
        "--solver",
        "exact",
        "--json",
    ]
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["cost"] == pytest.approx(5)


def test_a_run_keeps_what_a_report_needs():
    prepared = prepare(LabRequest(MOONS, RING, solver="exact"))
    solved = run(prepared, PAGE)
    assert solved.outcome.iterations is None, "the simplex does not count"
    assert solved.seconds > 0
