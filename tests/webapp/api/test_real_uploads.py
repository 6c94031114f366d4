"""Uploads through the whole house: the check's report, the records to mend, and files that cannot be used."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from rest_framework.test import APIClient

from tests.webapp.api import problem
from webapp.api.serializers import answers
from webapp.api.serializers.jobs import JobFull
from workers import jobs, uploads, work

pytestmark = pytest.mark.django_db(transaction=True)

LIBRARIES = "/api/v1/libraries/"
TABLE = b"SMILES,name\nCCO,ethanol\nC(C)(C)(C)(C)C,wrong\nOCC,again\n"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that answers the bell before the request goes on."""
    monkeypatch.setattr(jobs, "ring", lambda job: work.perform(str(job.pk)))


@pytest.fixture
def mia(member: Any) -> APIClient:
    """The client of a member, with nothing replaced behind it."""
    client = APIClient(raise_request_exception=False)
    client.force_authenticate(member)
    return client


def dry_run(client: APIClient, name: str, content: bytes) -> Any:
    body = {"file": SimpleUploadedFile(name, content), "dry_run": "true"}
    return client.post(LIBRARIES, body, format="multipart")


@pytest.mark.parametrize(("name", "content"), [("a.csv", TABLE), ("a.csv.gz", gzip.compress(TABLE))])
def test_the_counts_close(mia: APIClient, name: str, content: bytes) -> None:
    response = dry_run(mia, name, content)
    assert response.status_code == 202
    assert mia.get(response.headers["Location"]).json()["state"] == "done"
    found = mia.get(f"/api/v1/uploads/{response.json()['token']}/").json()
    assert set(answers.UploadAnswer(found).data) == set(found)
    assert (found["file"], found["job"]["state"]) == (name, "done")
    report = found["report"]
    assert set(answers.ImportReport(report).data) == set(report)
    assert (report["read"], report["used"], report["refused"], report["duplicates"]) == (3, 1, 1, 1)
    assert report["refusals"][0]["line"] == 3
    mend = mia.get(f"/api/v1/uploads/{response.json()['token']}/refused/")
    assert mend.headers["Content-Disposition"] == 'attachment; filename="a-refused.csv"'
    assert b"C(C)(C)(C)(C)C" in b"".join(mend.streaming_content)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"", ["empty"]),
        ("a.exe", b"MZ\x00", ["ending"]),
        ("a", b"CCO\n", ["ending"]),
    ],
)
def test_files_that_are_not_taken(mia: APIClient, name: str, content: bytes, words: list[str]) -> None:
    before = {path.name for path in uploads.root().glob("*")}
    problem.check(dry_run(mia, name, content), 400, *words, field="file")
    assert {path.name for path in uploads.root().glob("*")} == before


UNUSABLE = [
    ("a.csv", b"name,weight\nethanol,46\n", ["“a.csv”", "SMILES"]),
    ("a.csv.gz", gzip.compress(TABLE * 50)[:60], ["“a.csv.gz”", "cut off"]),
    ("a.csv.gz", b"not gzip at all", ["no column"]),
]


@pytest.mark.parametrize(("name", "content", "words"), UNUSABLE)
def test_files_that_cannot_be_used(mia: APIClient, name: str, content: bytes, words: list[str]) -> None:
    started = dry_run(mia, name, content)
    job = mia.get(started.headers["Location"]).json()
    assert set(JobFull(job).data) == set(job)
    assert job["state"] == "failed"
    told = f"{job['problem']['message']} {job['problem']['remedy']}"
    assert all(word in told for word in words)
    assert "source" not in told
    assert job["problem"]["field"] == "file"
    assert mia.get(f"/api/v1/uploads/{started.json()['token']}/").json()["report"] is None


@pytest.mark.parametrize(("name", "content", "words"), UNUSABLE)
def test_the_page_says_the_same_beside_its_form(
    member: Any, name: str, content: bytes, words: list[str]
) -> None:
    browser = Client()
    browser.force_login(member)
    response = browser.post("/libraries/new/", {"file": SimpleUploadedFile(name, content)})
    text = response.content.decode()
    assert response.status_code == 422
    assert all(word in text for word in words)
    assert 'type="file"' in text


def test_the_page_of_a_small_file_is_its_report(member: Any) -> None:
    browser = Client()
    browser.force_login(member)
    sent = {"file": SimpleUploadedFile("in_house.csv", TABLE)}
    text = browser.post("/libraries/new/", sent, follow=True).content.decode()
    assert "3 = 1 used + 1 duplicate + 1 refused" in text
    assert 'value="in house"' in text
    assert "Import 1 molecule" in text


def test_somebody_elses_upload_is_not_there(mia: APIClient, other_member: Any) -> None:
    started = dry_run(mia, "a.csv", TABLE)
    token = started.json()["token"]
    otto = APIClient(raise_request_exception=False)
    otto.force_authenticate(other_member)
    problem.check(otto.post(LIBRARIES, {"token": token, "name": "x"}, format="json"), 404, "upload")
    problem.check(otto.get(f"/api/v1/uploads/{token}/"), 404, "upload")
    problem.check(otto.get(f"/api/v1/uploads/{token}/refused/"), 404, "upload")
    problem.check(otto.get(started.headers["Location"]), 404, "job")
