"""Bringing a library: the upload, who may do it, the job, taking it away again."""

from __future__ import annotations

import pytest
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import SimpleUploadedFile

from tests.workers.states import bring_to
from workers import jobs, libraries, uploads
from workers.errors import BadInput, Busy, NotFound
from workers.models import Job, Library

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def quiet(monkeypatch, science):
    """No bells."""
    monkeypatch.setattr(jobs, "ring", lambda job: None)


def molecules(name: str = "mine.csv.gz", content: bytes = b"smiles\nCCO\n") -> SimpleUploadedFile:
    """A file as a browser sends it."""
    return SimpleUploadedFile(name, content)


def bring(user) -> str:
    """The token of a file whose check has ended."""
    job = libraries.check_upload(molecules(), user)
    bring_to(job["id"], "done")
    return job["upload"]


def test_the_built_in_library_is_there_for_everybody(viewer):
    entry = libraries.list_libraries(viewer)[0]
    assert entry == {
        "id": "catalogue",
        "name": "Catalogue",
        "size": 3,
        "fingerprint": "f" * 64,
        "status": "ready",
        "mine": False,
    }


def test_from_a_file_to_a_job_and_a_library(member, other_member):
    token = bring(member)
    job = libraries.start_import(token, "  My   Aldehydes ", member)
    assert job["state"] == "queued"
    assert job["library"] == "my-aldehydes"
    mine = libraries.list_libraries(member)[1]
    assert (mine["name"], mine["status"], mine["mine"]) == ("My Aldehydes", "importing", True)
    assert len(libraries.list_libraries(other_member)) == 1, "a new library is private"
    assert libraries.start_import(token, "again", member)["id"] == job["id"], "pressed twice"


def test_two_libraries_of_one_name_and_the_reserved_one_get_ids_of_their_own(member):
    made = []
    for name in ("Catalogue", "Same", "Same", "…"):
        token = bring(member)
        job = libraries.start_import(token, name, member)
        bring_to(job["id"], "done")
        made.append(job["library"])
    assert len({"catalogue", *made}) == 5
    assert made[3] == "library"


def test_a_viewer_may_not(viewer):
    with pytest.raises(PermissionDenied, match="member"):
        libraries.check_upload(molecules(), viewer)


@pytest.mark.parametrize("name", ["x.exe", "x", "x.csv.zip", "x.gz", ".csv"])
def test_other_endings_are_refused_by_name(member, name):
    with pytest.raises(BadInput, match=r"ending"):
        libraries.check_upload(molecules(name), member)


def test_an_empty_file_is_refused(member):
    with pytest.raises(BadInput, match="empty"):
        libraries.check_upload(molecules(content=b""), member)


def test_one_job_too_many_leaves_no_file_behind(member, settings):
    settings.FERRY_JOBS_PER_USER = 0
    with pytest.raises(Busy, match="jobs"):
        libraries.check_upload(molecules(), member)
    with pytest.raises(Busy, match="jobs"):
        libraries.import_upload(molecules(), "Mine", member)
    assert list(uploads.root().iterdir()) == []


def test_a_file_that_is_still_being_checked_is_not_imported(member):
    check = libraries.check_upload(molecules(), member)
    with pytest.raises(Busy, match="still being checked"):
        libraries.start_import(check["upload"], "Mine", member)
    libraries.stop_job(check["id"], member)
    assert libraries.start_import(check["upload"], "Mine", member)["state"] == "queued"


@pytest.mark.parametrize(
    ("row", "job", "status"),
    [
        ("importing", "queued", "importing"),
        ("importing", "running", "importing"),
        ("failed", "queued", "retrying"),
        ("failed", "running", "retrying"),
        ("failed", "stopping", "retrying"),
        ("failed", "failed", "failed"),
        ("failed", "stopped", "stopped"),
        ("importing", "stopped", "stopped"),
        ("importing", "lost", "failed"),
        ("importing", None, "failed"),
        ("ready", "done", "ready"),
    ],
)
def test_a_library_is_what_its_job_is_about(member, row, job, status):
    made = job and Job.objects.create(
        kind="library",
        queue="indexing",
        state=job,
        lease_until="2126-01-01T00:00Z",
        finished="2026-01-01T00:00Z",
    )
    Library.objects.create(id="mine", name="Mine", owner=member, state=row, job=made)
    assert libraries.list_libraries(member)[1]["status"] == status


def test_waiting_for_a_job_ends_with_the_job_or_the_time(member):
    check = libraries.check_upload(molecules(), member)
    assert libraries.wait_for_job(check["id"], member, 0.05)["state"] == "queued"
    libraries.stop_job(check["id"], member)
    assert libraries.wait_for_job(check["id"], member, 3600)["state"] == "stopped"


def test_a_nearly_full_disk_takes_nothing(member, monkeypatch):
    monkeypatch.setattr(uploads, "SPARE_BYTES", 10**18)
    with pytest.raises(Busy, match="disk"):
        libraries.check_upload(molecules(), member)


@pytest.mark.parametrize("token", ["", "../../etc", "0" * 32])
def test_tokens_that_are_none(member, token):
    with pytest.raises(NotFound):
        libraries.start_import(token, "x", member)


def test_an_upload_is_its_owners(member, other_member):
    token = bring(member)
    with pytest.raises(NotFound):
        libraries.upload_status(token, other_member)
    with pytest.raises(NotFound):
        libraries.start_import(token, "x", other_member)


def test_a_name_is_needed(member):
    token = bring(member)
    for name in ("", "   ", "x" * 121):
        with pytest.raises(BadInput, match="name"):
            libraries.start_import(token, name, member)
        with pytest.raises(BadInput, match="name"):
            libraries.import_upload(molecules(), name, member)
    assert [path.name for path in uploads.root().iterdir()] == [token]


def test_deleting_takes_rows_files_and_the_job_with_it(member, write_library):
    token = bring(member)
    job = libraries.start_import(token, "Mine", member)
    library = Library.objects.get(pk="mine")
    write_library(library.folder)
    write_library(library.folder.with_name("mine.building"))
    libraries.delete_library("mine", member)
    assert not Library.objects.exists()
    assert not library.folder.exists()
    assert not library.folder.with_name("mine.building").exists()
    assert libraries.job_status(job["id"], member)["state"] == "stopped"
    with pytest.raises(NotFound):
        uploads.find(token)


def test_only_the_owner_deletes(member, other_member):
    Library.objects.create(id="mine", name="Mine", owner=member, visibility="shared", state="ready")
    with pytest.raises(PermissionDenied):
        libraries.delete_library("mine", other_member)
    Library.objects.update(visibility="private")
    with pytest.raises(NotFound):
        libraries.delete_library("mine", other_member)
    with pytest.raises(PermissionDenied, match="comes with"):
        libraries.delete_library("catalogue", member)
