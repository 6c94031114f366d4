"""Bringing a library: check, report, confirmation, progress, deletion."""

from __future__ import annotations

import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from workers import inference, libraries
from workers.models import Job

REPORT = {
    "finished": True,
    "read": 1204,
    "used": 1198,
    "refused": 2,
    "duplicates": 4,
    "notes": ["The column “Structure” was read as SMILES."],
    "refusals": [
        {"line": 77, "record": 76, "reason": "Atom 19 is a carbon with 5 bonds.", "raw": "C(C)(C)(C)(C)C"},
        {"line": 312, "record": 311, "reason": "A ring is never closed.", "raw": "C1CC <b>"},
    ],
}


FAULT = {"message": "“a.gz” ends in the middle.", "field": "file", "remedy": "Copy it again."}


def as_job(state, **more):
    """A job as the floor below tells it."""
    return {
        "id": "j1",
        "kind": "library",
        "state": state,
        "done": 450,
        "total": 1198,
        "message": "",
        "problem": None,
        "library": "amines",
        "upload": "token-1",
        **more,
    }


@pytest.fixture
def keeper(client, member, door, monkeypatch):
    """A logged-in member whose uploads are checked by a fake."""
    client.force_login(member)
    monkeypatch.setattr(libraries, "check_upload", lambda file, user, name: as_job("queued", kind="check"))
    found = {"token": "token-1", "file": "amines_2024.smi", "name": "amines 2024", "report": REPORT}
    monkeypatch.setattr(libraries, "checked", lambda job, user: found)
    stand(monkeypatch, "done", kind="check")
    return client


def stand(monkeypatch, state, **more):
    """Let the job stand so, whoever asks."""
    monkeypatch.setattr(libraries, "job_status", lambda job_id, user: as_job(state, **more))
    monkeypatch.setattr(libraries, "wait_for_job", lambda job_id, user, seconds: as_job(state, **more))


def send(client, **fields):
    file = SimpleUploadedFile("amines_2024.smi", b"CCN amine\n")
    return client.post("/libraries/new/", {"file": file, "name": "", **fields}, follow=True)


def test_everybody_sees_the_shelf_and_only_members_the_form(page, client, member):
    assert "Log in" in page("/libraries/")
    client.force_login(member)
    assert 'type="file"' in page("/libraries/")


def test_a_stranger_is_led_to_the_log_in(client, db, door):
    ((address, status),) = send(client).redirect_chain
    assert status == 302
    assert address.startswith("/accounts/log-in/")


def test_the_dry_run_counts_close_and_every_refusal_has_line_and_reason(keeper):
    text = send(keeper).content.decode()
    assert "1,204 = 1,198 used + 4 duplicates + 2 refused" in text
    assert "Atom 19 is a carbon with 5 bonds." in text
    assert "C1CC &lt;b&gt;" in text
    assert 'value="amines 2024"' in text
    assert "The column “Structure” was read as SMILES." in text


def test_the_name_that_is_proposed_is_that_given_or_of_the_file(keeper, monkeypatch):
    asked = []
    monkeypatch.setattr(
        libraries,
        "check_upload",
        lambda file, user, name: asked.append(name) or as_job("queued", kind="check"),
    )
    for name in ("", "  In  house ", "x" * 300):
        send(keeper, name=name)
    assert asked == ["amines 2024", "In house", "x" * 120]


@pytest.mark.parametrize("when", ["while it is taken", "within the moment that the page waits"])
def test_a_file_that_cannot_be_read_is_explained_beside_the_form(keeper, monkeypatch, when):
    def refuse(file, user, name):
        raise inference.BadInput(**FAULT)

    if when == "while it is taken":
        monkeypatch.setattr(libraries, "check_upload", refuse)
    else:
        stand(monkeypatch, "failed", kind="check", problem=FAULT)
    response = send(keeper)
    text = response.content.decode()
    assert response.status_code == 422
    assert "“a.gz” ends in the middle." in text
    assert "Copy it again." in text
    assert 'type="file"' in text


def test_a_larger_file_that_cannot_be_read_is_explained_where_its_progress_was(keeper, monkeypatch):
    stand(monkeypatch, "running", kind="check")
    text = send(keeper).content.decode()
    assert "450 of 1,198 records read" in text
    assert "every 1s" in text
    assert 'action="/libraries/jobs/j1/stop/"' in text
    stand(monkeypatch, "failed", kind="check", problem=FAULT)
    for asked in ({}, {"HTTP_HX_REQUEST": "true"}):
        text = keeper.get("/libraries/jobs/j1/", **asked).content.decode()
        assert "“a.gz” ends in the middle." in text
        assert "Copy it again." in text
        assert "Choose another file" in text
        assert "Check it again" not in text, "it would be refused again"
        assert "every " not in text


@pytest.mark.parametrize(
    ("state", "words"), [("failed", "It failed."), ("lost", "Given up."), ("stopped", "Stopped.")]
)
def test_a_check_without_a_result_can_be_done_again(keeper, monkeypatch, state, words):
    stand(monkeypatch, state, kind="check", message="The worker went silent.")
    text = keeper.get("/libraries/jobs/j1/").content.decode()
    assert words in text
    assert "Check it again" in text
    assert "every " not in text


def test_the_report_takes_the_place_of_the_progress(keeper):
    part = keeper.get("/libraries/jobs/j1/", HTTP_HX_REQUEST="true").content.decode()
    assert "<html" not in part
    assert "Import 1,198 molecules" in part
    assert 'name="token" value="token-1"' in part
    assert "csrfmiddlewaretoken" in part
    assert "every " not in part


def test_stopping_is_asked_for_by_its_owner_with_a_form(keeper, monkeypatch):
    stopped = []
    monkeypatch.setattr(libraries, "stop_job", lambda job, user: stopped.append(job))
    assert keeper.get("/libraries/jobs/j1/stop/").status_code == 405
    assert keeper.post("/libraries/jobs/j1/stop/").headers["Location"] == "/libraries/jobs/j1/"
    assert stopped == ["j1"]


def test_no_file_is_a_problem_of_its_own(keeper):
    missing = keeper.post("/libraries/new/", {"name": "x"})
    assert missing.status_code == 422
    assert "No file was chosen" in missing.content.decode()


def test_confirming_starts_a_job_and_shows_it(keeper, monkeypatch):
    started = []
    monkeypatch.setattr(
        libraries, "start_import", lambda token, name, user: started.append((token, name)) or {"id": "j1"}
    )
    response = keeper.post("/libraries/start/", {"token": "token-1", "name": "Amines"})
    assert started == [("token-1", "Amines")]
    assert response.headers["Location"] == "/libraries/jobs/j1/"


@pytest.mark.parametrize(
    ("state", "polls", "words"),
    [
        ("queued", True, "Waiting for a worker"),
        ("running", True, "450 of 1,198 molecules"),
        ("stopping", True, "Stopping at the next step"),
        ("lost", False, "Given up."),
        ("done", False, "ready to be searched"),
        ("failed", False, "It failed."),
        ("stopped", False, "Stopped."),
    ],
)
def test_the_job_page_tells_the_state_and_asks_again_only_while_something_may_change(
    keeper, monkeypatch, state, polls, words
):
    stand(monkeypatch, state)
    text = keeper.get("/libraries/jobs/j1/").content.decode()
    assert words in text
    assert ("every 2s" in text) is polls
    part = keeper.get("/libraries/jobs/j1/", HTTP_HX_REQUEST="true").content.decode()
    assert "<html" not in part


@pytest.fixture
def ended(member):
    """Make an import of the member that has ended in a state."""

    def make(state):
        return Job.objects.create(
            kind="library",
            queue="indexing",
            state=state,
            attempts=5,
            owner=member,
            finished=timezone.now(),
            parameters={"library": "amines", "upload": "0" * 32, "name": "Amines"},
        )

    return make


@pytest.mark.parametrize("who", ["member", "administrator"])
@pytest.mark.parametrize("state", ["lost", "failed", "stopped"])
def test_an_ended_import_is_tried_again_from_its_page(ended, door, request, state, who):
    job = ended(state)
    client = Client(enforce_csrf_checks=True)
    client.force_login(request.getfixturevalue(who))
    text = client.get(f"/libraries/jobs/{job.pk}/").content.decode()
    assert "The uploaded file is kept" in text
    form = re.search(r'<form method="post" action="([^"]+)" class="row">(.*?)</form>', text, re.DOTALL)
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form[2]))
    assert client.get(form[1]).status_code == 405
    assert client.post(form[1]).status_code == 403
    job.refresh_from_db()
    assert job.state == state
    assert client.post(form[1], fields).headers["Location"] == f"/libraries/jobs/{job.pk}/"
    job.refresh_from_db()
    assert (job.state, job.attempts) == ("queued", 0)


def test_nobody_else_has_it_tried_again(ended, client, other_member, door):
    job = ended("lost")
    assert client.post(f"/libraries/jobs/{job.pk}/again/").status_code == 302
    client.force_login(other_member)
    assert client.post(f"/libraries/jobs/{job.pk}/again/").status_code == 404
    job.refresh_from_db()
    assert job.state == "lost"


def test_what_is_not_ones_own_is_not_called_built_in(page):
    text = page("/libraries/")
    assert ">not yours</span>" in text
    assert ">built in</span>" not in text
    assert "administrators of this server" in text


def test_refused_records_come_back_as_a_file(keeper, monkeypatch, tmp_path):
    from workers import uploads

    (tmp_path / "refused.smi").write_text("C1CC broken\n")
    monkeypatch.setattr(
        uploads, "find", lambda token, user: uploads.Upload(token, tmp_path / "source.smi", "amines.smi")
    )
    response = keeper.get("/libraries/refused/token-1/")
    assert response.headers["Content-Disposition"] == 'attachment; filename="amines-refused.smi"'
    assert b"".join(response.streaming_content) == b"C1CC broken\n"
    (tmp_path / "refused.smi").unlink()
    assert keeper.get("/libraries/refused/token-1/").status_code == 404


def test_deleting_asks_first_and_only_for_ones_own(keeper, door, monkeypatch):
    own = {"id": "amines", "name": "Amines", "size": 3, "fingerprint": "aa", "status": "ready", "mine": True}
    monkeypatch.setattr(libraries, "list_libraries", lambda user: [*door.list_libraries(user), own])
    gone = []
    monkeypatch.setattr(libraries, "delete_library", lambda name, user: gone.append(name))
    assert "Delete “Amines”?" in keeper.get("/libraries/amines/delete/").content.decode()
    assert not gone
    keeper.post("/libraries/amines/delete/")
    assert gone == ["amines"]
    assert keeper.get("/libraries/catalogue/delete/").status_code == 404
