"""Libraries and the jobs that make them."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from tests.webapp.api import problem
from tests.webapp.api.conftest import Door, Shelf
from webapp.api import examples

LIBRARIES = "/api/v1/libraries/"


def upload(content: bytes = b"CCO ethanol\n", name: str = "a.smi") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


def test_a_dry_run_starts_a_check_and_no_import(anna: APIClient, shelf: Shelf) -> None:
    response = anna.post(LIBRARIES, {"file": upload(), "dry_run": "true"}, format="multipart")
    assert response.status_code == 202
    assert response.json() == examples.CHECK.value
    assert response.headers["Location"] == "http://testserver/api/v1/jobs/8d0f5a0e/"
    assert shelf.uploads == [b"CCO ethanol\n"]
    assert shelf.imports == []


def test_the_report_is_that_of_the_upload(anna: APIClient, client: APIClient) -> None:
    assert anna.get("/api/v1/uploads/u-5c0f/").json() == examples.UPLOAD.value
    problem.check(anna.get("/api/v1/uploads/u-0000/"), 404, "no longer here")
    problem.check(client.get("/api/v1/uploads/u-5c0f/"), 401)
    problem.check(anna.get("/api/v1/uploads/u-5c0f/?x=1"), 400, field="x")


def test_the_checked_file_is_imported_by_its_token(anna: APIClient, shelf: Shelf) -> None:
    response = anna.post(LIBRARIES, {"token": "u-5c0f", "name": " Amines "}, format="json")
    assert response.status_code == 202
    assert response.json() == examples.IMPORT.value
    assert response.headers["Location"] == "http://testserver/api/v1/jobs/8d0f5a0e/"
    assert shelf.imports == [("u-5c0f", "Amines")]
    assert shelf.uploads == []


def test_import_without_a_look_first(anna: APIClient, shelf: Shelf) -> None:
    response = anna.post(LIBRARIES, {"file": upload(), "name": "Amines"}, format="multipart")
    assert response.status_code == 202
    assert response.json() == examples.IMPORT.value
    assert shelf.imports == [("u-5c0f", "Amines")]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "file"),
        ({"name": "x"}, "file"),
        ({"file": "not a file", "name": "x"}, "file"),
        ({"file": upload()}, "name"),
        ({"file": upload(), "name": "  "}, "name"),
        ({"file": upload(), "name": "x" * 201}, "name"),
        ({"file": upload(b""), "name": "x"}, "file"),
        ({"file": upload(), "token": "u-5c0f", "name": "x"}, "file"),
        ({"token": "u-5c0f", "dry_run": "true"}, "dry_run"),
        ({"file": upload(), "dry_run": "perhaps"}, "dry_run"),
        ({"file": upload(), "nmae": "x"}, "nmae"),
    ],
)
def test_bad_uploads(anna: APIClient, shelf: Shelf, body: dict[str, Any], field: str) -> None:
    problem.check(anna.post(LIBRARIES, body, format="multipart"), 400, field=field)
    assert shelf.imports == []


def test_a_name_that_is_no_file_name_is_harmless(anna: APIClient, shelf: Shelf) -> None:
    for name in ("../../etc/passwd", "a\x00.smi", "\u202e.smi", "x" * 400 + ".smi"):
        response = anna.post(LIBRARIES, {"file": upload(name=name), "dry_run": "true"}, format="multipart")
        assert response.status_code in {202, 400}


def test_an_announced_giant_is_refused_unread(anna: APIClient, shelf: Shelf, settings: Any) -> None:
    settings.FERRY_MAX_UPLOAD = 1_000
    response = anna.post(LIBRARIES, {"file": upload(b"C\n" * 600), "name": "x"}, format="multipart")
    problem.check(response, 413, "1,000", "gzip")
    assert shelf.uploads == []


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b"--x\r\nbroken", "multipart/form-data; boundary=x"),
        (b"no boundary", "multipart/form-data"),
        (b"", "multipart/form-data; boundary=x"),
        (
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.smi"\r\n',
            "multipart/form-data; boundary=x",
        ),
    ],
)
def test_broken_forms(anna: APIClient, shelf: Shelf, content: bytes, content_type: str) -> None:
    problem.check(anna.generic("POST", LIBRARIES, content, content_type), 400)
    assert shelf.uploads == []


def test_list_and_state(client: APIClient, anna: APIClient) -> None:
    assert [entry["id"] for entry in client.get(LIBRARIES).json()["libraries"]] == ["catalogue"]
    assert [entry["id"] for entry in anna.get(LIBRARIES).json()["libraries"]] == [
        "catalogue",
        "annas-amines",
        "annas-acids",
    ]
    assert anna.get(f"{LIBRARIES}annas-amines/").json()["mine"] is True
    problem.check(client.get(f"{LIBRARIES}annas-amines/"), 404)


def test_a_library_that_is_being_made_is_not_searched(anna: APIClient, door: Door) -> None:
    assert anna.get("/api/v1/search/?q=a").status_code == 200
    assert door.last("search")["libraries"] == ("catalogue", "annas-amines")
    response = anna.get("/api/v1/search/?q=a&library=annas-acids")
    problem.check(response, 400, "not ready", "importing", field="library")


def test_delete(anna: APIClient) -> None:
    assert anna.delete(f"{LIBRARIES}annas-amines/").status_code == 204
    problem.check(anna.delete(f"{LIBRARIES}catalogue/"), 403, "comes with ferry")
    problem.check(anna.delete(f"{LIBRARIES}nowhere/"), 404)
