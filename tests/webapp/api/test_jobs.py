"""Starting, listing, stopping, resuming, cloning and deleting jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from rest_framework.test import APIClient

from tests.webapp.api import problem
from tests.webapp.api.conftest import PARAMETERS
from workers import kinds
from workers.models import AuditEntry, Job

JOBS = "/api/v1/jobs/"
BODY = {"kind": "monge", "parameters": PARAMETERS, "name": "clouds"}


@pytest.fixture(autouse=True)
def _house(house: Any, bells: list[str]) -> None:
    """Every test here has data sets, and bells that only note."""


def test_a_job_begins_once_for_one_key(
    tina: APIClient, bells: list[str], django_capture_on_commit_callbacks: Any
) -> None:
    key = {"Idempotency-Key": "3d1f6c5e"}
    with django_capture_on_commit_callbacks(execute=True):
        first = tina.post(JOBS, BODY, format="json", headers=key)
        again = tina.post(JOBS, BODY, format="json", headers=key)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    assert bells == [first.json()["id"]]
    assert first.headers["Location"] == f"http://testserver{JOBS}{first.json()['id']}/"
    body = first.json()
    assert (body["state"], body["standing"], body["place"], body["owner"]) == ("queued", "queued", 0, "tina")
    assert (body["name"], body["title"], body["parameters"]) == ("clouds", "Monge map", PARAMETERS)
    other = tina.post(
        JOBS, {**BODY, "parameters": {**PARAMETERS, "preset": "cpu"}}, format="json", headers=key
    )
    problem.check(other, 400, "another job", field="key")


@pytest.mark.parametrize("key", ["", "a b", "é", "x" * 81, "tab\tbed"])
def test_a_key_is_one_plain_word(tina: APIClient, key: str) -> None:
    response = tina.post(JOBS, BODY, format="json", headers={"Idempotency-Key": key})
    problem.check(response, 400, "Idempotency-Key", field="Idempotency-Key")
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "check"}, "kind"),
        ({"kind": "tea"}, "kind"),
        ({"parameters": {}}, "data"),
        ({"parameters": {**PARAMETERS, "colour": "red"}}, "colour"),
        ({"parameters": {**PARAMETERS, "preset": "huge"}}, "preset"),
        ({"parameters": {**PARAMETERS, "data": {"source": "nowhere.npz"}}}, "data.source"),
        ({"parameters": {**PARAMETERS, "data": {"source": "../secret_key"}}}, "data.source"),
        ({"parameters": {**PARAMETERS, "data": {"source": "n" * 256}}}, "parameters"),
        ({"parameters": {**PARAMETERS, "data": {"source": "a\0b"}}}, "parameters"),
        ({"parameters": {**PARAMETERS, "overrides": {"seed": 2**63}}}, "parameters"),
        ({"parameters": {**PARAMETERS, "overrides": dict.fromkeys(map(str, range(600)), 1)}}, "parameters"),
        ({"parameters": {**PARAMETERS, "overrides": {"seeds": 1}}}, "seeds"),
        ({"parameters": {**PARAMETERS, "overrides": {"seed": "many"}}}, "seed"),
        ({"parameters": ["data"]}, "parameters"),
        ({"name": "n" * 121}, "name"),
        ({"name": 7}, "name"),
        ({"color": 1}, "color"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_begins(
    tina: APIClient, change: dict[str, Any], field: str
) -> None:
    response = tina.post(JOBS, BODY | change, format="json")
    problem.check(response, 400, field=field)
    assert not Job.objects.exists()


def test_half_a_character_is_no_server_error(tina: APIClient) -> None:
    body = '{"kind": "monge", "parameters": {"data": {"source": "\\ud800"}}}'
    problem.check(tina.post(JOBS, body, content_type="application/json"), 400, field="parameters")


def test_over_the_limit_of_open_jobs_it_says_when_to_come_back(tina: APIClient, settings: Any) -> None:
    settings.FERRY_JOBS_PER_USER = 1
    assert tina.post(JOBS, BODY, format="json").status_code == 201
    full = tina.post(JOBS, BODY, format="json")
    problem.check(full, 429, "1 jobs")
    assert int(full.headers["Retry-After"]) > 0


def test_the_list_is_filtered_cut_and_linked(tina: APIClient, job: Callable[..., Job]) -> None:
    made = [job("done", tina.user, name=f"clouds {number}") for number in range(3)]
    job("queued", kind="check", name="a file")
    job("running", name="Clouds of somebody else")

    def names(**asked: Any) -> list[str]:
        return [row["name"] for row in tina.get(JOBS, asked).json()["jobs"]]

    assert names() == ["Clouds of somebody else", "a file", "clouds 2", "clouds 1", "clouds 0"]
    assert names(state="open") == ["Clouds of somebody else", "a file"]
    assert names(state="done", text="CLOUDS 1") == ["clouds 1"]
    assert names(kind="check") == ["a file"]
    assert names(mine="true") == ["clouds 2", "clouds 1", "clouds 0"]
    page = tina.get(JOBS, {"k": 2, "offset": 1})
    assert (page.json()["total"], page.json()["offset"], page.json()["k"]) == (5, 1, 2)
    assert f'<http://testserver{JOBS}?k=2&offset=3>; rel="next"' in page.headers["Link"]
    assert f'<http://testserver{JOBS}?k=2&offset=0>; rel="prev"' in page.headers["Link"]
    for asked, field in (({"k": 201}, "k"), ({"state": "asleep"}, "state"), ({"text": ""}, "text")):
        problem.check(tina.get(JOBS, asked), 400, field=field)
    assert len(made) == 3


def test_members_see_only_their_own(anna: APIClient, job: Callable[..., Job]) -> None:
    mine = job("done", anna.user, kind="check")
    other = job("done", kind="check")
    assert [row["id"] for row in anna.get(JOBS).json()["jobs"]] == [str(mine.pk)]
    problem.check(anna.get(f"{JOBS}{other.pk}/"), 404)
    problem.check(anna.get(f"{JOBS}none/"), 404)


def test_what_you_may_follows_from_state_and_role(
    tina: APIClient, anna: APIClient, job: Callable[..., Job]
) -> None:
    expected = {
        ("monge", "running"): (["stop", "clone"], ["stop"]),
        ("monge", "failed"): (["resume", "clone", "delete"], []),
        ("check", "stopped"): (["resume", "delete"], ["resume"]),
        ("check", "done"): (["delete"], []),
    }
    for (kind, state), (trainers, members) in expected.items():
        row = job(state, anna.user, kind=kind)
        for caller, may in ((tina, trainers), (anna, members)):
            assert caller.get(f"{JOBS}{row.pk}/").json()["may"] == may, (kind, state)
            listed = {line["id"]: line["may"] for line in caller.get(JOBS).json()["jobs"]}
            assert listed[str(row.pk)] == may, (kind, state)


def test_stop_is_asked_once_and_says_by_whom(tina: APIClient, job: Callable[..., Job]) -> None:
    row = job("running", name="long")
    answer = tina.post(f"{JOBS}{row.pk}/stop/").json()
    assert (answer["state"], answer["ended_by"]) == ("stopping", "tina")
    assert tina.post(f"{JOBS}{row.pk}/stop/").json()["state"] == "stopping"
    assert [entry.verb for entry in AuditEntry.objects.filter(subject=f"job/{row.pk}")] == ["stop"]
    ended = job("done")
    assert tina.post(f"{JOBS}{ended.pk}/stop/").json()["ended_by"] == ""


def test_resume_queues_again_what_can_go_on(tina: APIClient, job: Callable[..., Job]) -> None:
    failed, waiting, done = job("failed", error="Too little memory."), job("queued"), job("done")
    answer = tina.post(f"{JOBS}{failed.pk}/resume/").json()
    assert (answer["state"], answer["error"], answer["attempts"]) == ("queued", "", 0)
    assert tina.post(f"{JOBS}{waiting.pk}/resume/").json()["state"] == "queued"
    problem.check(tina.post(f"{JOBS}{done.pk}/resume/"), 400, "nothing to take up", field="job")


def test_members_resume_their_imports_and_nothing_else(anna: APIClient, job: Callable[..., Job]) -> None:
    check, training = job("failed", anna.user, kind="check"), job("failed", anna.user)
    assert anna.post(f"{JOBS}{check.pk}/resume/").json()["state"] == "queued"
    problem.check(anna.post(f"{JOBS}{training.pk}/resume/"), 403, "trainer")
    training.refresh_from_db()
    assert training.state == "failed"


def test_a_clone_changes_what_is_named_and_knows_its_parent(tina: APIClient, job: Callable[..., Job]) -> None:
    row = job("done", name="clouds")
    made = tina.post(f"{JOBS}{row.pk}/clone/", {"changes": {"preset": "cpu"}}, format="json")
    assert made.status_code == 201
    assert made.json()["parameters"] == {**PARAMETERS, "preset": "cpu"}
    assert (made.json()["parent"], made.json()["name"]) == (str(row.pk), "clouds")
    renamed = tina.post(f"{JOBS}{row.pk}/clone/", {"name": "again"}, format="json").json()
    assert (renamed["name"], renamed["parameters"]) == ("again", PARAMETERS)
    problem.check(
        tina.post(f"{JOBS}{row.pk}/clone/", {"changes": {"preset": "x"}}, format="json"), 400, field="preset"
    )
    check = job("done", kind="check")
    problem.check(tina.post(f"{JOBS}{check.pk}/clone/", {}, format="json"), 400, "cannot be cloned")


def test_delete_takes_row_and_files_and_refuses_what_is_open(
    tina: APIClient, job: Callable[..., Job], house: Any
) -> None:
    row, held = job("done"), job("running")
    folder = house / "jobs" / str(row.pk)
    folder.mkdir(parents=True)
    (folder / "log.txt").write_text("x")
    assert tina.delete(f"{JOBS}{row.pk}/").status_code == 204
    assert not folder.exists()
    assert not Job.objects.filter(pk=row.pk).exists()
    problem.check(tina.delete(f"{JOBS}{held.pk}/"), 400, "stop it first")
    problem.check(tina.delete(f"{JOBS}{row.pk}/"), 404)


def test_several_at_once_each_on_its_own(tina: APIClient, job: Callable[..., Job]) -> None:
    running, waiting, done, none = job("running"), job("queued"), job("done"), uuid4()
    chosen = [str(row) for row in (running.pk, done.pk, none, waiting.pk, running.pk)]
    answer = tina.post(f"{JOBS}actions/", {"action": "stop", "jobs": chosen}, format="json").json()
    assert (answer["action"], answer["done"]) == ("stop", 2)
    assert [(row["id"], row["done"]) for row in answer["outcomes"]] == [
        (str(running.pk), True),
        (str(done.pk), False),
        (str(none), False),
        (str(waiting.pk), True),
    ]
    assert "done" in answer["outcomes"][1]["message"]
    assert "no job" in answer["outcomes"][2]["message"]
    states = dict(Job.objects.values_list("pk", "state"))
    assert states == {running.pk: "stopping", waiting.pk: "stopped", done.pk: "done"}
    gone = tina.post(
        f"{JOBS}actions/", {"action": "delete", "jobs": [str(done.pk), str(running.pk)]}, format="json"
    ).json()
    assert gone["done"] == 1
    assert set(Job.objects.values_list("pk", flat=True)) == {running.pk, waiting.pk}
    for body, field in (
        ({"action": "sing", "jobs": chosen}, "action"),
        ({"action": "stop", "jobs": []}, "jobs"),
        ({"action": "stop", "jobs": [7]}, "jobs"),
        ({"action": "stop", "jobs": [str(uuid4()) for _ in range(101)]}, "jobs"),
    ):
        refused = problem.check(tina.post(f"{JOBS}actions/", body, format="json"), 400)
        assert refused["errors"][0]["field"].startswith(field)


def test_kinds_are_the_registrys(tina: APIClient, job: Callable[..., Job]) -> None:
    job("queued")
    found = {kind["name"]: kind for kind in tina.get(f"{JOBS}kinds/").json()["kinds"]}
    assert list(found) == [kind.name for kind in kinds.offered()]
    monge = found["monge"]
    assert monge["outlook"]["queue"] == "training"
    assert (monge["outlook"]["waiting"], monge["outlook"]["workers"]) == (1, 0)
    assert monge["outlook"]["begins_in"] is None
    assert monge["parameters"]["required"] == ["data"]
    assert monge["parameters"]["properties"]["data"]["required"] == ["source"]
    names = [preset["name"] for preset in monge["presets"]]
    assert monge["parameters"]["properties"]["preset"]["enum"] == names
    assert found["evaluation"]["parameters"]["required"] == ["version", "data"]
    assert found["evaluation"]["parameters"]["properties"]["version"] == {"type": "integer"}


def test_a_schema_says_of_every_option_what_the_registry_holds_it_to(tina: APIClient) -> None:
    types = {int: "integer", float: "number", str: "string", bool: "boolean"}
    for shown in tina.get(f"{JOBS}kinds/").json()["kinds"]:
        kind = kinds.find(shown["name"])
        for preset in shown["presets"]:
            properties = preset["parameters"]["properties"]
            options = kind.options(preset["name"])
            assert [option.name for option in options] == list(properties)
            for option in options:
                said = properties[option.name]
                assert (said["type"], said["default"]) == (types[option.type], option.default)
                assert said["description"] == option.help
                assert said.get("minimum") == option.minimum
                assert said.get("maximum") == option.maximum
                assert tuple(said.get("enum", ())) == option.choices
                kind.configured(preset["name"], {option.name: said["default"]})
                if option.minimum is not None:
                    with pytest.raises(kinds.BadInput):
                        kind.configured(preset["name"], {option.name: said["minimum"] - 1})


def test_a_browser_needs_its_csrf_token(tina: APIClient, job: Callable[..., Job]) -> None:
    row = job("running")
    browser = APIClient(enforce_csrf_checks=True)
    browser.force_login(tina.user)
    assert browser.get(f"{JOBS}{row.pk}/").status_code == 200
    problem.check(browser.post(f"{JOBS}{row.pk}/stop/"), 403, "csrf")
    row.refresh_from_db()
    assert row.state == "running"
