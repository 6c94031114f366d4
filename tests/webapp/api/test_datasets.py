"""Data sets over the API: listed, brought once, deleted when nothing needs them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from tests.webapp.api import problem
from workers.models import AuditEntry, Job

DATASETS = "/api/v1/datasets/"


def upload(caller: APIClient, name: str, content: bytes = b"1,2\n") -> Any:
    """Send a file."""
    return caller.post(DATASETS, {"file": SimpleUploadedFile(name, content)}, format="multipart")


def test_a_file_is_stored_listed_and_deleted(tina: APIClient, house: Path) -> None:
    made = upload(tina, "terpenes.csv")
    assert (made.status_code, made.json()) == (201, {"name": "terpenes.csv", "bytes": 4, "own": True})
    assert (house / "datasets" / "terpenes.csv").read_bytes() == b"1,2\n"
    listed = tina.get(DATASETS).json()
    assert [(entry["name"], entry["own"]) for entry in listed["datasets"]] == [
        ("clouds.npz", True),
        ("ferry/catalogue.tsv", False),
        ("terpenes.csv", True),
    ]
    assert ".npz" in listed["endings"]
    assert tina.delete(f"{DATASETS}terpenes.csv/").status_code == 204
    assert not (house / "datasets" / "terpenes.csv").exists()
    verbs = AuditEntry.objects.filter(subject="data/terpenes.csv").values_list("verb", flat=True)
    assert sorted(verbs) == ["delete", "upload"]


@pytest.mark.parametrize(
    ("name", "words"), [("clouds.npz", "already"), ("model.pkl", "no name"), ("a b.csv", "no name")]
)
def test_what_is_not_taken_is_told(tina: APIClient, house: Path, name: str, words: str) -> None:
    problem.check(upload(tina, name), 400, words, field="file")


def test_a_form_without_a_file(tina: APIClient, house: Path) -> None:
    problem.check(tina.post(DATASETS, {}, format="multipart"), 400, field="file")
    problem.check(tina.post(DATASETS, {"file": "text"}, format="multipart"), 400, field="file")
    problem.check(tina.post(DATASETS, {"file": "x"}, format="json"), 415)


def test_too_much_is_refused_unread(tina: APIClient, house: Path, settings: Any) -> None:
    settings.FERRY_MAX_UPLOAD = 1_000
    problem.check(upload(tina, "big.csv", bytes(2_000)), 413)
    assert not (house / "datasets" / "big.csv").exists()


def test_what_a_job_needs_or_is_not_own_stays(
    tina: APIClient, house: Path, job: Callable[..., Job], settings: Any, tmp_path: Path
) -> None:
    (tmp_path / "more" / "deep").mkdir(parents=True)
    (tmp_path / "more" / "deep" / "big.csv").write_text("x")
    settings.FERRY_DATASETS = [str(tmp_path / "more")]
    job("queued")
    problem.check(tina.delete(f"{DATASETS}clouds.npz/"), 400, "stop it first", field="name")
    for name in ("deep/big.csv", "ferry/catalogue.tsv", "none.csv", "../secret_key", "%2e%2e/secret_key"):
        problem.check(tina.delete(f"{DATASETS}{name}/"), 404)
    assert (house / "datasets" / "clouds.npz").exists()
