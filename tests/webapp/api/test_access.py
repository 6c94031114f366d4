"""Who may call which address of the API: nobody, a viewer, a member, the owner, a trainer, an administrator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import resolve
from rest_framework.test import APIClient

from tests.webapp.api import fuzzing, problem
from tests.webapp.api.conftest import PARAMETERS, as_user, undone
from webapp.api import decoding_examples
from webapp.api.urls import v1
from workers import inference, registry
from workers.models import Evaluation, Job, ModelVersion

V1 = "/api/v1/"
ROW = {"library": "catalogue", "id": "geraniol"}
MINE = {"library": "annas-amines", "id": "1"}
TOKEN = {"token": "u-5c0f", "name": "x"}

TRAINING = "7c6f1a52-0a53-4b27-8c6e-000000000001"  # Tina's, failed
CHECK = "7c6f1a52-0a53-4b27-8c6e-000000000002"  # Anna's check of a file, stopped
RUNNING = "7c6f1a52-0a53-4b27-8c6e-000000000003"  # nobody's, running

Statuses = tuple[int, int, int, int, int, int]
EVERYBODY = (200, 200, 200, 200, 200, 200)
ACCOUNTS = (401, 200, 200, 200, 200, 200)
TRAINERS = (401, 403, 403, 403, 200, 200)
TRAINERS_FIND = (401, 404, 404, 404, 200, 200)
OWNER_FINDS = (401, 404, 404, 200, 200, 200)
NOBODY_FINDS = (401, 404, 404, 404, 404, 404)
ADMINISTRATORS = (401, 403, 403, 403, 403, 200)


def upload() -> dict[str, Any]:
    """A form with a file."""
    return {"file": SimpleUploadedFile("terpenes.csv", b"1,2")}


CLOUDS = {
    "source": {"sample": "moons", "n": 5, "seed": 1},
    "target": {"sample": "ring", "n": 6, "seed": 2},
}
ASKED = {"prompt": "An alcohol.", "lanes": [{"method": "autoregressive"}]}
# url name, method, address, data, status for: nobody, viewer, member bob, owner anna, trainer tina, admin ada
TABLE: list[tuple[str, str, str, Any, Statuses]] = [
    ("search", "get", "search/", {"q": "a"}, EVERYBODY),
    ("search", "post", "search/", {"q": "a"}, EVERYBODY),
    ("search", "get", "search/", {"q": "a", "library": "annas-amines"}, (400, 400, 400, 200, 400, 400)),
    ("suggest", "get", "suggest/", {"q": "a"}, EVERYBODY),
    ("suggest", "get", "suggest/", {"q": "a", "library": "annas-amines"}, (400, 400, 400, 200, 400, 400)),
    ("molecule", "get", "molecules/catalogue/a/", {}, EVERYBODY),
    ("molecule", "get", "molecules/annas-amines/1/", {}, (404, 404, 404, 200, 404, 404)),
    ("neighbours", "get", "molecules/catalogue/a/neighbours/", {}, EVERYBODY),
    ("neighbours", "get", "molecules/annas-amines/1/neighbours/", {}, (404, 404, 404, 200, 404, 404)),
    ("depict", "get", "depict/", ROW, EVERYBODY),
    ("depict", "post", "depict/", {"structure": "C"}, EVERYBODY),
    ("depict", "get", "depict/", MINE, (404, 404, 404, 200, 404, 404)),
    ("depict", "post", "depict/", MINE, (404, 404, 404, 200, 404, 404)),
    ("describe", "post", "structures/describe/", {"structure": "C"}, EVERYBODY),
    (
        "describe",
        "post",
        "structures/describe/",
        {"structure": "C", "library": ["annas-amines"]},
        (400, 400, 400, 200, 400, 400),
    ),
    ("explanation", "get", "explanation/", {"q": "a", **ROW}, EVERYBODY),
    ("explanation", "get", "explanation/", {"q": "a", **MINE}, (400, 400, 400, 200, 400, 400)),
    (
        "comparison",
        "get",
        "comparison/",
        {"q": "a", "library": "catalogue", "first": "1", "second": "2"},
        EVERYBODY,
    ),
    (
        "comparison",
        "get",
        "comparison/",
        {"q": "a", "library": "annas-amines", "first": "1", "second": "2"},
        (400, 400, 400, 200, 400, 400),
    ),
    ("lookup", "post", "lookup/", ["a"], EVERYBODY),
    (
        "lookup",
        "post",
        "lookup/",
        {"items": ["a"], "library": ["annas-amines"]},
        (400, 400, 400, 200, 400, 400),
    ),
    ("export", "get", "export/", {"format": "csv", "row": "catalogue:a"}, EVERYBODY),
    ("export", "get", "export/", {"format": "csv", "row": "annas-amines:1"}, (400, 400, 400, 200, 400, 400)),
    ("export", "post", "export/", {"format": "csv", "rows": [ROW]}, EVERYBODY),
    ("export", "post", "export/", {"format": "csv", "rows": [MINE]}, (400, 400, 400, 200, 400, 400)),
    (
        "export",
        "post",
        "export/",
        {"format": "csv", "search": {"q": "a", "library": ["annas-amines"]}},
        (400, 400, 400, 200, 400, 400),
    ),
    ("libraries", "get", "libraries/", {}, EVERYBODY),
    ("libraries", "post", "libraries/", TOKEN, (401, 403, 202, 202, 202, 202)),
    ("library", "get", "libraries/catalogue/", {}, EVERYBODY),
    ("library", "get", "libraries/annas-amines/", {}, (404, 404, 404, 200, 404, 404)),
    ("library", "delete", "libraries/annas-amines/", {}, (401, 403, 404, 204, 404, 404)),
    ("library", "delete", "libraries/catalogue/", {}, (401, 403, 403, 403, 403, 403)),
    ("upload", "get", "uploads/u-5c0f/", {}, (401, 404, 404, 200, 404, 404)),
    ("upload-refused", "get", "uploads/u-5c0f/refused/", {}, (401, 404, 404, 404, 404, 404)),
    ("jobs", "get", "jobs/", {}, ACCOUNTS),
    ("jobs", "post", "jobs/", {"kind": "monge", "parameters": PARAMETERS}, (401, 403, 403, 403, 201, 201)),
    ("job-kinds", "get", "jobs/kinds/", {}, TRAINERS),
    ("job-actions", "post", "jobs/actions/", {"action": "stop", "jobs": [RUNNING]}, TRAINERS),
    ("job", "get", f"jobs/{TRAINING}/", {}, TRAINERS_FIND),
    ("job", "get", f"jobs/{CHECK}/", {}, OWNER_FINDS),
    ("job", "get", "jobs/none/", {}, NOBODY_FINDS),
    ("job", "delete", f"jobs/{TRAINING}/", {}, (401, 403, 403, 403, 204, 204)),
    ("job", "delete", f"jobs/{CHECK}/", {}, (401, 403, 403, 403, 204, 204)),
    ("job", "delete", f"jobs/{RUNNING}/", {}, (401, 403, 403, 403, 400, 400)),
    ("job-stop", "post", f"jobs/{RUNNING}/stop/", {}, TRAINERS_FIND),
    ("job-stop", "post", f"jobs/{CHECK}/stop/", {}, OWNER_FINDS),
    ("job-resume", "post", f"jobs/{TRAINING}/resume/", {}, TRAINERS_FIND),
    ("job-resume", "post", f"jobs/{CHECK}/resume/", {}, OWNER_FINDS),
    ("job-clone", "post", f"jobs/{TRAINING}/clone/", {}, (401, 403, 403, 403, 201, 201)),
    ("job-clone", "post", f"jobs/{CHECK}/clone/", {}, (401, 403, 403, 403, 400, 400)),
    ("job-metrics", "get", f"jobs/{TRAINING}/metrics/", {}, TRAINERS_FIND),
    ("job-metrics", "get", f"jobs/{CHECK}/metrics/", {"format": "csv"}, OWNER_FINDS),
    ("job-events", "get", f"jobs/{TRAINING}/events/", {"wait": 0}, TRAINERS_FIND),
    ("job-events", "get", f"jobs/{TRAINING}/events/", {}, TRAINERS_FIND),
    ("job-events", "get", f"jobs/{CHECK}/events/", {}, OWNER_FINDS),
    ("models", "get", "models/", {}, TRAINERS),
    ("model", "get", "models/7/", {}, TRAINERS),
    ("model", "delete", "models/7/", {}, (401, 403, 403, 403, 403, 204)),
    ("model", "delete", "models/8/", {}, (401, 403, 403, 403, 403, 400)),
    ("models-compare", "get", "models/compare/", {"version": ["7", "8"]}, TRAINERS),
    ("model-promote", "post", "models/7/promote/", {"why": "x", "evaluation": 4}, ADMINISTRATORS),
    ("model-promote", "post", "models/7/promote/", {"why": "x", "unmeasured": True}, ADMINISTRATORS),
    ("models-roll-back", "post", "models/roll-back/", {"area": "monge", "why": "x"}, ADMINISTRATORS),
    ("models-retire", "post", "models/retire/", {"area": "monge", "why": "x"}, ADMINISTRATORS),
    ("promotions", "get", "models/promotions/", {}, TRAINERS),
    ("datasets", "get", "datasets/", {}, TRAINERS),
    ("datasets", "post", "datasets/", upload, (401, 403, 403, 403, 201, 201)),
    ("dataset", "delete", "datasets/clouds.npz/", {}, (401, 403, 403, 403, 204, 204)),
    ("status", "get", "status/", {}, ADMINISTRATORS),
    ("transport-solvers", "get", "transport/solvers/", {}, EVERYBODY),
    ("transport-plan", "post", "transport/plan/", CLOUDS, EVERYBODY),
    ("transport-estimate", "post", "transport/estimate/", CLOUDS, EVERYBODY),
    ("transport-file", "post", "transport/file/", {**CLOUDS, "format": "links.csv"}, EVERYBODY),
    ("transport-sweep", "post", "transport/sweep/", CLOUDS, EVERYBODY),
    (
        "transport-map",
        "post",
        "transport/map/",
        {**CLOUDS, "parameters": {"seconds": 1}},
        EVERYBODY,
    ),
    ("transport-map-estimate", "post", "transport/map/estimate/", CLOUDS, EVERYBODY),
    ("decoding", "get", "decoding/", {}, EVERYBODY),
    ("decoding-estimate", "post", "decoding/estimate/", ASKED, EVERYBODY),
    ("decoding-generate", "post", "decoding/generate/", ASKED, EVERYBODY),
    ("decoding-stream", "post", "decoding/stream/", ASKED, EVERYBODY),
    ("decoding-frontier", "post", "decoding/frontier/", ASKED, EVERYBODY),
]
#: who may decode is tested here, what comes out of it elsewhere
DECODED = {
    "decoding_models": {},
    "decoding_describe": {},
    "decoding_estimate": decoding_examples.ESTIMATE.value,
    "decoding_generate": decoding_examples.ANSWER.value,
    "decoding_frontier": decoding_examples.FRONTIER.value,
}


@pytest.fixture
def callers(client: APIClient, account: Callable[..., Any]) -> list[APIClient]:
    roles = {"viola": "viewer", "bob": "member", "anna": "member", "tina": "trainer", "ada": "admin"}
    return [client, *(as_user(account(name, role)) for name, role in roles.items())]


@pytest.fixture
def furniture(
    callers: list[APIClient],
    job: Callable[..., Job],
    version: Callable[..., ModelVersion],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The jobs and versions that the table names."""
    monkeypatch.setattr(inference, "transport_map", fuzzing.learn_nothing)
    for verb, answer in DECODED.items():
        monkeypatch.setattr(inference, verb, lambda *_, answer=answer: answer)
    monkeypatch.setattr(inference, "decoding_watch", lambda *_: iter([{"event": "opened"}]))
    _, _, _, anna, tina, _ = callers
    job("failed", tina.user, pk=TRAINING)
    job("stopped", anna.user, kind="check", pk=CHECK)
    job("running", pk=RUNNING, parameters={"data": {"source": "other.npz"}})
    for pk in (7, 8):
        made = version()
        ModelVersion.objects.filter(pk=made.pk).update(id=pk)
    Evaluation.objects.create(pk=4, version_id=7, metrics={"l2_uvp": 2.0}, data=[])
    registry.promote(registry.get(8), "ada", "To be rolled back.", unmeasured=True)


@pytest.mark.parametrize("part", sorted({address.split("/")[0] for _, _, address, *_ in TABLE}))
def test_table(callers: list[APIClient], furniture: None, house: Path, part: str) -> None:
    rows = [row for row in TABLE if row[2].split("/")[0] == part]
    got = []
    for _, method, address, data, _ in rows:
        options = {} if method == "get" else {"format": "multipart" if callable(data) else "json"}
        answers = []
        for caller in callers:
            with undone(house):
                sent = data() if callable(data) else data
                answers.append(getattr(caller, method)(V1 + address, sent, **options))
        got.append((method, address, data, tuple(answer.status_code for answer in answers)))
        for answer in answers:
            if answer.status_code >= 400:
                assert "Anna" not in problem.check(answer, answer.status_code)["detail"]
    assert got == [(method, address, data, expected) for _, method, address, data, expected in rows]


def test_the_table_names_every_address_and_method() -> None:
    served = {
        (pattern.name, method)
        for pattern in v1
        for method in ("get", "post", "put", "patch", "delete")
        if hasattr(pattern.callback.cls, method)
    }
    assert served == {(name, method) for name, method, *_ in TABLE}
    for name, _, address, *_ in TABLE:
        assert resolve(V1 + address).url_name == name


def test_a_token_is_the_account(client: APIClient, account: Callable[..., Any]) -> None:
    from webapp.accounts.models import ApiToken

    user = account("anna")
    _, secret = ApiToken.objects.issue(user, "test")
    for word in ("Bearer", "Token", "bearer"):
        found = client.get(f"{V1}libraries/annas-amines/", headers={"authorization": f"{word} {secret}"})
        assert found.status_code == 200
    made = client.post(f"{V1}libraries/", TOKEN, format="json", headers={"authorization": f"Bearer {secret}"})
    assert made.status_code == 202
    user.is_active = False
    user.save()
    refused = client.get(f"{V1}search/?q=a", headers={"authorization": f"Bearer {secret}"})
    problem.check(refused, 401, "token")


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer wrong", "Bearer a b", "Token é", "Bearer " + "x" * 5_000]
)
def test_a_wrong_token_is_told(client: APIClient, header: str) -> None:
    response = client.get(f"{V1}search/?q=a", headers={"authorization": header})
    problem.check(response, 401, "token")
    assert response.headers["WWW-Authenticate"] == "Bearer"


def test_a_browser_needs_its_csrf_token_to_change_something(
    door: Any, shelf: Any, account: Callable[..., Any]
) -> None:
    browser = APIClient(enforce_csrf_checks=True)
    browser.force_login(account("anna"))
    problem.check(browser.post(f"{V1}libraries/", TOKEN, format="json"), 403, "csrf")
    assert browser.get(f"{V1}libraries/annas-amines/").status_code == 200
    assert shelf.imports == []
