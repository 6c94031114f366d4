"""What the laboratory writes opens again and runs elsewhere; the command line says the same."""

from __future__ import annotations

import io
import json

import numpy as np
import ot
import pytest

from mlcore.__main__ import main
from mlcore.runtime.errors import InputError
from mlcore.transport.laboratory.clouds import PAGE
from mlcore.transport.laboratory.planfiles import FILES, file_of
from mlcore.transport.laboratory.samples import sample
from mlcore.transport.laboratory.solvers import SOLVERS
from mlcore.transport.laboratory.solving import LabRequest, prepare, run, solve

MOONS = {"sample": "moons", "n": 30, "seed": 1}
RING = {"sample": "ring", "n": 40, "seed": 2}


@pytest.fixture
def rng():
    return np.random.default_rng(0)


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
            steps = {"ipot": {"steps": 3000}, "sparse": {"k": 12, "side": "columns"}}.get(solver, {})
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


def test_the_command_line_finds_a_permutation_or_says_that_there_is_none(tmp_path, capsys):
    words = ["transport", "sparse", "--source", "moons:20:1", "-k", "1", "--gamma", "5", "--json", "--target"]
    assert main([*words, "ring:20:2", "--out", f"{tmp_path}/plan.npy"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["links_row"], found["links_column"], found["status"]) == (1, 1, "converged")
    assert (np.load(tmp_path / "plan.npy") > 0).sum(0).tolist() == [1] * 20
    assert main([*words, "ring:25:2"]) == 1
    assert json.loads(capsys.readouterr().out)["status"] == "stalled"
    assert main([*words, "ring:25:2", "--side", "both"]) == 2
    assert "Use one of rows, columns" in capsys.readouterr().err


def test_a_run_keeps_what_a_report_needs():
    prepared = prepare(LabRequest(MOONS, RING, solver="exact"))
    solved = run(prepared, PAGE)
    assert solved.outcome.iterations is None, "the simplex does not count"
    assert solved.seconds > 0
