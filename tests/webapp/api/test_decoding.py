"""Decoding over HTTP: real answers of a tiny pair, as JSON and as events, and problems that name the field."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rest_framework import serializers
from rest_framework.test import APIClient

from tests.decoding_models import tiny_pair
from tests.webapp.api import problem
from tests.webapp.api.test_following import read
from tests.webapp.api.test_schema import same_shape
from webapp.api import decoding_examples as examples
from webapp.api.serializers import decoding as shapes
from workers import decoding, language_models

DECODING = "/api/v1/decoding/"
BODY = {
    "prompt": "An alcohol.",
    "lanes": [{"method": "spectr", "parameters": {"drafts": 2, "length": 2}}],
    "sampling": {"max_tokens": 8},
    "seed": 3,
    "alternatives": 2,
}
GUIDED = {**BODY, "lanes": [{"method": "args", "parameters": {"candidates": 2}}], "reward": {"name": "qed"}}
streams = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    tiny_pair(folder)
    return folder


@pytest.fixture(autouse=True)
def shelf(pair: Path, tmp_path: Path, settings: Any) -> Iterator[Path]:
    """A folder of shipped models with a target and a draft."""
    settings.FERRY_MODELS = tmp_path / "shelf"
    settings.FERRY_DEVICE = "cpu"
    shutil.copytree(pair, settings.FERRY_MODELS)
    language_models.forget()
    yield settings.FERRY_MODELS
    language_models.forget()


def post(client: APIClient, address: str, body: Any, status: int = 200) -> Any:
    response = client.post(f"{DECODING}{address}", body, format="json")
    assert response.status_code == status, response.content[:800]
    return response.json()


@pytest.mark.parametrize(
    ("serializer", "example"),
    [
        (shapes.DescribeDecoding, examples.DESCRIBE),
        (shapes.DecodingEstimate, examples.ESTIMATE),
        (shapes.DecodingAnswer, examples.ANSWER),
        (shapes.FrontierAnswer, examples.FRONTIER),
    ],
)
def test_an_example_has_the_shape_that_is_promised(
    serializer: type[serializers.Serializer], example: Any
) -> None:
    assert same_shape(serializer(example.value).data, example.value)


@pytest.mark.parametrize("example", [examples.BODY, examples.GUIDED_BODY])
def test_an_example_body_is_accepted(client: APIClient, db: None, example: Any) -> None:
    assert post(client, "estimate/", example.value)["sentence"]


def test_what_is_listed_has_the_shape_of_the_schema_and_can_be_asked(client: APIClient, db: None) -> None:
    known = client.get(DECODING).json()
    assert same_shape(shapes.DescribeDecoding(known).data, known)
    assert known["models"]["target"]["name"] == "lm-target"
    for method in known["methods"]:
        if "aligned" in method["needs"]:
            continue
        parameters = {each["name"]: each["default"] for each in method["parameters"]}
        lane = {"method": method["name"], "parameters": parameters}
        post(client, "estimate/", {**GUIDED, "lanes": [lane], "sampling": {"max_tokens": 4}})


def test_without_a_model_it_is_still_said_what_there_is(client: APIClient, db: None, shelf: Path) -> None:
    shutil.rmtree(shelf / "lm-target")
    assert client.get(DECODING).json()["models"] is None
    for address in ("estimate/", "generate/", "stream/", "frontier/"):
        problem.check(client.post(f"{DECODING}{address}", BODY, format="json"), 404, "no language model")


def test_answers_have_the_shape_of_the_schema(client: APIClient, db: None) -> None:
    for body in (BODY, GUIDED, {**BODY, "repeats": 2}):
        answer = post(client, "generate/", body)
        assert same_shape(shapes.DecodingAnswer(answer).data, answer)
        assert answer["lanes"][0]["counts"]["emitted"] == 8
    estimate = post(client, "estimate/", BODY)
    assert same_shape(shapes.DecodingEstimate(estimate).data, estimate)
    frontier = post(client, "frontier/", GUIDED)
    assert same_shape(shapes.FrontierAnswer(frontier).data, frontier)


def test_no_account_is_needed_and_it_counts_as_reading(client: APIClient, db: None, settings: Any) -> None:
    settings.FERRY_RATES = {"anonymous": "2/minute", "member": "off", "write": "1/hour"}
    for status in (200, 200, 429):
        post(client, "estimate/", BODY, status)


@streams
def test_a_stream_tells_token_by_token_what_the_answer_is(client: APIClient) -> None:
    whole = post(client, "generate/", BODY)
    response = client.post(f"{DECODING}stream/", BODY, format="json")
    assert response.headers["Content-Type"] == "text/event-stream"
    assert response.headers["X-Accel-Buffering"] == "no"
    events = read(response)
    assert [event["event"] for event in events] == [event["data"]["event"] for event in events]
    assert (events[0]["event"], events[-1]["event"]) == ("opened", "closed")
    tokens = [event["data"] for event in events if event["event"] == "token"]
    assert "".join(token["text"] for token in tokens) == whole["lanes"][0]["text"]
    assert all(len(token["alternatives"]["target"]) == 2 for token in tokens)


@streams
def test_a_reader_who_leaves_gives_the_turn_back(client: APIClient) -> None:
    endless = {**BODY, "sampling": {"max_tokens": 500}}
    for _ in range(decoding.DECODINGS + 1):
        response = client.post(f"{DECODING}stream/", endless, format="json")
        content = iter(response.streaming_content)
        assert b"event: opened" in next(content)
        next(content)
        response.close()
    assert post(client, "generate/", BODY)["lanes"]


@streams
def test_a_fault_on_the_way_is_the_last_event(client: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlcore.decoding import rewards
    from tests.mlcore.decoding.serving.test_session import Letters

    class Broken(Letters):
        def __call__(self, texts: Any) -> Any:
            raise ArithmeticError("out of letters")

    monkeypatch.setattr(rewards, "build", lambda spec, retrieval=None: Broken())
    events = read(client.post(f"{DECODING}stream/", {**BODY, "reward": {"name": "qed"}}, format="json"))
    last = events[-1]
    assert last["event"] == "problem"
    assert last["data"]["status"] == 400
    assert "out of letters" in last["data"]["detail"]


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("task", {"task": "poem"}),
        ("prompt", {"prompt": ""}),
        ("prompt", {"prompt": "a" * 20_001}),
        ("prompt", {"prompt": "a\u0000b"}),
        ("prompt", {"prompt": "alcohol " * 1500}),
        ("prompt", {"task": "description", "prompt": "C(("}),
        ("lanes", {"lanes": []}),
        ("lanes", {"lanes": [{"method": "autoregressive"}] * 5}),
        ("lanes.0.method", {"lanes": [{"method": "magic"}]}),
        ("lanes.0.method", {"lanes": [{"method": "aligned"}]}),
        ("lanes.0.parameters.drafts", {"lanes": [{"method": "spectr", "parameters": {"drafts": 1000}}]}),
        ("lanes.0.parameters.drafts", {"lanes": [{"method": "spectr", "parameters": {"drafts": [1]}}]}),
        ("sampling.temperature", {"sampling": {"temperature": 11}}),
        ("sampling.heat", {"sampling": {"heat": 1}}),
        ("reward", {"lanes": [{"method": "args"}]}),
        ("reward.name", {"reward": {"name": "beauty"}}),
        ("reward.low", {"reward": {"name": "logp", "low": "x"}}),
        ("seed", {"seed": -1}),
        ("alternatives", {"alternatives": 11}),
        ("repeats", {"repeats": 0}),
        ("colour", {"colour": "red"}),
    ],
)
def test_bad_input_is_a_problem_that_names_the_field(
    client: APIClient, db: None, field: str, change: dict[str, Any]
) -> None:
    for address in ("generate/", "stream/"):
        found = post(client, address, {**BODY, **change}, 400)
        assert found["type"] == "urn:ferry:problem:bad-input"
        named = [error["field"] for error in found["errors"]]
        assert any(str(each).endswith(field) or each == field for each in named), found


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"prompt": NaN}', b"[" * 100_000, b"\xff"])
def test_a_body_that_is_no_request_is_refused(client: APIClient, db: None, body: bytes) -> None:
    assert client.post(f"{DECODING}generate/", body, content_type="application/json").status_code == 400


def test_more_than_may_run_at_once_are_sent_away_with_a_time(client: APIClient, db: None) -> None:
    running = [
        decoding.do_decoding_watch({**BODY, "sampling": {"max_tokens": 500}})
        for _ in range(decoding.DECODINGS)
    ]
    for each in running:
        next(each)  # type: ignore[arg-type]
    response = client.post(f"{DECODING}generate/", BODY, format="json")
    assert "being written already" in problem.check(response, 503)["detail"]
    assert response.headers["Retry-After"] == "5"
    for each in running:
        each.close()  # type: ignore[union-attr]
    assert json.dumps(post(client, "generate/", BODY))
