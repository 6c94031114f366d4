"""Uploads through the whole house: the dry run's report, and files that cannot be used."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from tests.webapp.api import problem
from webapp.api.serializers import answers
from workers import uploads

LIBRARIES = "/api/v1/libraries/"
TABLE = b"SMILES,name\nCCO,ethanol\nC(C)(C)(C)(C)C,wrong\nOCC,again\n"


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
    assert response.status_code == 200
    report = response.json()["report"]
    assert set(answers.ImportReport(report).data) == set(report)
    assert (report["read"], report["used"], report["refused"], report["duplicates"]) == (3, 1, 1, 1)
    assert report["refusals"][0]["line"] == 3
    assert uploads.find(response.json()["token"]).name == name


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"name,weight\nethanol,46\n", ["“a.csv”", "SMILES"]),
        ("a.csv.gz", gzip.compress(TABLE * 50)[:60], ["“a.csv.gz”", "cut off"]),
        ("a.csv.gz", b"not gzip at all", ["no column"]),
        ("a.csv", b"", ["empty"]),
        ("a.exe", b"MZ\x00", ["ending"]),
        ("a", b"CCO\n", ["ending"]),
    ],
)
def test_files_that_cannot_be_used(mia: APIClient, name: str, content: bytes, words: list[str]) -> None:
    before = {path.name for path in uploads._root().glob("*")}
    body = problem.check(dry_run(mia, name, content), 400, *words, field="file")
    assert "source" not in body["detail"]
    assert {path.name for path in uploads._root().glob("*")} == before


def test_somebody_elses_upload_is_not_there(mia: APIClient, other_member: Any) -> None:
    token = dry_run(mia, "a.csv", TABLE).json()["token"]
    otto = APIClient(raise_request_exception=False)
    otto.force_authenticate(other_member)
    problem.check(otto.post(LIBRARIES, {"token": token, "name": "x"}, format="json"), 404, "upload")
