"""The transport laboratory over HTTP: real answers, and for every bad input a problem that names it."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import pytest
from rest_framework import serializers
from rest_framework.test import APIClient

from tests.webapp.api.test_schema import same_shape
from webapp.api.serializers import transport as shapes
from webapp.transport import api_examples as examples

PLAN, ESTIMATE, FILE = (f"/api/v1/transport/{name}/" for name in ("plan", "estimate", "file"))
PROBLEM = {
    "source": {"sample": "moons", "n": 20, "seed": 1},
    "target": {"sample": "ring", "n": 25, "seed": 2},
}


def post(client: APIClient, address: str, body: Any, status: int = 200) -> Any:
    response = client.post(address, body, format="json")
    assert response.status_code == status, response.content[:800]
    return response.json() if "json" in response.headers["Content-Type"] else response.content


@pytest.mark.parametrize(
    ("serializer", "example"),
    [
        (shapes.PlanAnswer, examples.PLAN),
        (shapes.EstimateAnswer, examples.ESTIMATE),
        (shapes.SolversAnswer, examples.SOLVERS),
        (shapes.SweepAnswer, examples.SWEEP),
        (shapes.MapAnswer, examples.MAP),
        (shapes.MapEstimate, examples.MAP_ESTIMATE),
    ],
)
def test_an_example_has_the_shape_that_is_promised(
    serializer: type[serializers.Serializer], example: Any
) -> None:
    assert same_shape(serializer(example.value).data, example.value)


@pytest.mark.parametrize(
    ("serializer", "example"),
    [
        (shapes.PlanBody, examples.PROBLEM_BODY),
        (shapes.PlanBody, examples.SAMPLED_BODY),
        (shapes.PlanFileBody, examples.FILE_BODY),
        (shapes.SweepBody, examples.SWEEP_BODY),
        (shapes.MapBody, examples.MAP_BODY),
    ],
)
def test_an_example_body_is_accepted(serializer: type[serializers.Serializer], example: Any) -> None:
    checked = serializer(data=example.value)
    assert checked.is_valid(), checked.errors


def test_a_plan_has_the_shape_of_the_schema(client: APIClient) -> None:
    answer = post(client, PLAN, {**PROBLEM, "against": {"solver": "exact"}, "check": True})
    assert answer["status"]["converged"]
    assert answer["check"]["agrees"]
    assert answer["difference"]["excess_over_exact"][1] == 0
    assert same_shape(shapes.PlanAnswer(answer).data, answer)


def test_the_example_of_the_schema_is_what_comes_back(client: APIClient) -> None:
    answer = post(client, PLAN, examples.PROBLEM_BODY.value)
    promised = examples.PLAN.value
    assert answer["plan"] == promised["plan"]
    assert answer["problem"] == promised["problem"]
    assert answer["numbers"]["cost"] == promised["numbers"]["cost"] == 1


def test_an_address_without_its_last_slash_works(client: APIClient) -> None:
    response = client.post(PLAN.rstrip("/"), PROBLEM, format="json", follow=True)
    assert response.status_code == 200


def test_an_estimate_computes_no_plan(client: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlcore.transport.laboratory import solving

    monkeypatch.setattr(solving, "run", None)
    answer = post(client, ESTIMATE, {**PROBLEM, "source": {"sample": "moons", "n": 1000}})
    assert answer["entries"] == 25_000
    assert same_shape(shapes.EstimateAnswer(answer).data, answer)


def test_what_is_listed_can_be_asked(client: APIClient) -> None:
    known = client.get("/api/v1/transport/solvers/").json()
    assert same_shape(shapes.SolversAnswer(known).data, known)
    for solver in known["solvers"]:
        parameters = {each["name"]: each["default"] for each in solver["parameters"]}
        answer = post(client, PLAN, {**PROBLEM, "solver": solver["name"], "parameters": parameters})
        assert answer["solver"]["name"] == solver["name"]
    for name in (cost["name"] for cost in known["costs"]):
        assert (
            post(client, PLAN, {**PROBLEM, "cost": name, "solver": "exact"})["problem"]["cost"]["name"]
            == name
        )


def test_a_sweep_has_the_shape_of_the_schema(client: APIClient) -> None:
    answer = post(client, "/api/v1/transport/sweep/", PROBLEM)
    assert same_shape(shapes.SweepAnswer(answer).data, answer)
    example = post(client, "/api/v1/transport/sweep/", examples.SWEEP_BODY.value)
    row, promised = example["rows"][2], examples.SWEEP.value["rows"][0]
    for name in ("share", "epsilon", "cost", "blur", "fan_out"):
        assert row[name] == pytest.approx(promised[name], rel=0.02), name


MAP = "/api/v1/transport/map/"
MAPPED = {
    "source": {"sample": "moons", "n": 200, "seed": 1},
    "target": {"sample": "ring", "n": 200, "seed": 2},
    "parameters": {"seconds": 1},
}


def test_a_map_is_learnt_in_the_time_that_it_is_given(client: APIClient) -> None:
    answer = post(client, MAP, MAPPED)
    assert same_shape(shapes.MapAnswer(answer).data, answer)
    assert answer["map"]["last"] is True
    assert answer["problem"]["source"]["recipe"]["n"] == 1000
    assert answer["held_out"]["map"]["divergence"] <= answer["held_out"]["identity"]["divergence"]
    estimate = post(client, f"{MAP}estimate/", MAPPED)
    assert same_shape(shapes.MapEstimate(estimate).data, estimate)
    assert estimate["seconds_at_most"] == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"parameters": {"seconds": 500}}, "number from 1 to 20"),
        ({"parameters": {"speed": 5}}, "no parameter 'speed'"),
        ({"source": {"points": [[0, 0], [1, 1]]}}, "at least 32"),
        ({"source": {"points": [[0, 0, 0]] * 40}}, "maps of the plane"),
        ({"source": {"points": [[0, 0], [1, 2]] * 20, "weights": [1, 2] * 20}}, "points that count alike"),
        ({"cost": "pnorm", "cost_parameters": {"p": 3}}, "Use power = true here"),
        ({"source": {"sample": "moons", "n": 5000}}, "limit is 4,000"),
    ],
)
def test_what_no_map_is_learnt_from_is_named(client: APIClient, change: dict[str, Any], words: str) -> None:
    for address in (MAP, f"{MAP}estimate/"):
        assert words in json.dumps(post(client, address, MAPPED | change, 400), ensure_ascii=False)


def test_no_more_maps_are_learnt_at_once_than_the_machine_bears(client: APIClient) -> None:
    from workers import transport

    running = [transport.do_transport_watch(MAPPED) for _ in range(transport.MAPS)]
    for each in running:
        next(each)
    assert "being trained already" in json.dumps(post(client, MAP, MAPPED, 503))
    for each in running:
        each.close()
    assert next(transport.do_transport_watch(MAPPED))["parameters"]["seconds"] == 1


def test_files_go_in_and_come_out(client: APIClient) -> None:
    import numpy as np

    points = np.random.default_rng(0).normal(size=(7, 3))
    stream = io.BytesIO()
    np.save(stream, points)
    file = {"name": "a.npy", "content": base64.b64encode(stream.getvalue()).decode()}
    problem = {"source": {"file": file}, "target": {"points": (points + 1).tolist()}, "solver": "exact"}
    assert post(client, PLAN, problem)["numbers"]["cost"] == pytest.approx(3)
    plan = np.load(io.BytesIO(post(client, FILE, {**problem, "format": "plan.npy"})))
    assert plan == pytest.approx(np.eye(7) / 7)
    table = post(client, FILE, {**problem, "format": "links.csv"}).decode()
    assert table.startswith("source,target,mass,source_x1")
    assert table.count("\n") == 8


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("solver", {"solver": "magic"}),
        ("cost", {"cost": "x" * 41}),
        ("sources", {"sources": {}}),
        ("source", {"source": {}}),
        ("source", {"source": 3}),
        ("source.points", {"source": {"points": "here"}}),
        ("source.points", {"source": {"points": [[0, None]]}}),
        ("source.points", {"source": {"points": [[0, 0], [1]]}}),
        ("source.points", {"source": {"points": [[[0]]]}}),
        ("source.weights", {"source": {"points": [[0, 0]], "weights": [-1]}}),
        ("source.n", {"source": {"sample": "ring", "n": 4001}}),
        ("source.file", {"source": {"file": {"name": "a.npy", "content": "?"}}}),
        ("source.file", {"source": {"file": {"name": "a.npy", "content": "AAAA"}}}),
        ("source.file", {"source": {"file": {"name": "a.npz", "content": "UEsDBA=="}}}),
        ("parameters.epsilon", {"parameters": {"epsilon": -1}}),
        ("parameters.epsilon", {"parameters": {"epsilon": [1]}}),
        ("parameters.sauce", {"parameters": {"sauce": 1}}),
        ("against.solver", {"against": {"solver": ""}}),
        ("links", {"links": 10**9}),
        ("matrix", {"matrix": 0}),
        ("check", {"check": "perhaps"}),
    ],
)
def test_bad_input_is_a_problem_that_names_the_field(
    client: APIClient, field: str, changes: dict[str, Any]
) -> None:
    for address in (PLAN, ESTIMATE):
        problem = post(client, address, {**PROBLEM, **changes}, 400)
        assert problem["type"] == "urn:ferry:problem:bad-input"
        assert field in [error["field"] for error in problem["errors"]], problem


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b'{"source": NaN}', b"[" * 100_000, b"\xff"])
def test_a_body_that_is_no_problem_is_refused(client: APIClient, body: bytes) -> None:
    assert client.post(PLAN, body, content_type="application/json").status_code == 400


def test_a_body_that_is_too_large_is_refused_unread(client: APIClient) -> None:
    body = json.dumps({"source": {"points": [[0, 0]] * 500_000}}).encode() + b" " * 4_000_000
    assert client.post(PLAN, body, content_type="application/json").status_code == 413


def test_what_would_take_too_long_is_refused_with_a_remedy(client: APIClient) -> None:
    large = {"source": {"sample": "ring", "n": 4000}, "target": {"sample": "ring", "n": 4000}}
    problem = post(client, PLAN, large, 400)
    assert "16,000,000" in problem["detail"]
    assert problem["errors"][0]["remedy"]


def test_it_needs_no_account_and_counts_as_reading(client: APIClient, settings: Any) -> None:
    settings.FERRY_RATES = {"anonymous": "2/minute", "member": "off", "write": "1/hour"}
    for status in (200, 200, 429):
        post(client, ESTIMATE, PROBLEM, status)
