"""What nobody can go on with is cleared away; what somebody could still need is not."""

from __future__ import annotations

import os
import time
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from tests.workers.states import bring_to
from workers import jobs, leftovers, libraries, uploads
from workers.models import Job, Library

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def quiet(monkeypatch, science, settings):
    """No bells, and jobs as many as one likes."""
    monkeypatch.setattr(jobs, "ring", lambda job: None)
    settings.FERRY_JOBS_PER_USER = 100


def age(folder) -> None:
    """Make a folder look as though it had been left alone for two days."""
    then = time.time() - 2 * leftovers.IDLE_SECONDS
    for path in (*folder.iterdir(), folder):
        os.utime(path, (then, then))


def end(job: Job, state: str, seconds_ago: float) -> None:
    """Let a job have ended."""
    finished = timezone.now() - timedelta(seconds=seconds_ago)
    bring_to(job, state, finished=finished)


@pytest.fixture
def begun(member):
    """An import that was begun two days ago: its job, upload folder and half-built folder."""
    job = Job.objects.get(
        pk=libraries.import_upload(SimpleUploadedFile("a.smi", b"CCO\n"), "Mine", member)["id"]
    )
    upload = uploads.find(job.parameters["upload"]).folder
    half = Library.objects.get().folder.with_name("mine.building")
    half.mkdir(parents=True)
    (half / "rows.sqlite").write_bytes(b"")
    age(upload)
    age(half)
    return job, upload, half


@pytest.mark.parametrize("state", ["queued", "running", "stopping"])
def test_what_an_open_job_needs_stays_whatever_its_age(begun, state):
    job, upload, half = begun
    bring_to(job, state)
    assert leftovers.clear() == 0
    assert upload.exists()
    assert half.exists()


@pytest.mark.parametrize("state", ["failed", "stopped", "lost"])
def test_an_import_can_be_tried_again_for_a_week(begun, state):
    job, upload, half = begun
    end(job, state, leftovers.RESUMABLE_SECONDS - 60)
    assert leftovers.clear() == 0
    end(job, state, leftovers.RESUMABLE_SECONDS + 60)
    assert leftovers.clear() == 2
    assert not upload.exists()
    assert not half.exists()
    assert Library.objects.get().pk == "mine", "its owner deletes it, nobody else"


def test_taken_up_after_a_week_it_is_safe_again(begun):
    job, _, _ = begun
    end(job, "failed", leftovers.RESUMABLE_SECONDS + 60)
    job.refresh_from_db()
    jobs.resume(job)
    assert leftovers.clear() == 0


def test_what_a_deleted_library_left_goes_after_a_day_without_change(begun):
    job, _, half = begun
    end(job, "failed", 60)
    Library.objects.all().delete()
    (half / "motif.npy").write_bytes(b"")
    assert leftovers.clear() == 1
    assert half.exists(), "a worker may still be at it"
    age(half)
    assert leftovers.clear() == 1
    assert not half.exists()


def test_finished_libraries_are_never_touched(begun, settings, write_library):
    done = write_library(settings.FERRY_DATA / "libraries" / "done")
    age(done)
    leftovers.clear()
    assert done.exists()


def test_checked_files_go_after_a_day_and_unusable_ones_at_once(member):
    tokens = {}
    for name in ("fresh", "old", "waiting", "unusable", "broken"):
        check = libraries.check_upload(SimpleUploadedFile(f"{name}.smi", b"CCO\n"), member)
        tokens[name] = check["upload"]
        if name != "waiting":
            end(Job.objects.get(pk=check["id"]), "failed" if name in ("unusable", "broken") else "done", 60)
    rows = {name: Job.objects.filter(parameters__upload=token) for name, token in tokens.items()}
    rows["unusable"].update(result={"problem": {"message": "No molecules."}})
    rows["broken"].update(error="The work ended unexpectedly.")
    for name in ("old", "waiting"):
        age(uploads.find(tokens[name]).folder)
    assert leftovers.clear() == 2
    kept = {path.name for path in uploads.root().iterdir()}
    assert kept == {tokens[name] for name in ("fresh", "waiting", "broken")}


def test_an_empty_house_is_no_fault():
    assert leftovers.clear() == 0
