"""An import for real: through the job, the science and the disk; killed half-way; stopped; deleted meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from tests.workers.killing import kill_at_work, sweep_until_found
from tests.workers.states import perform_and_be_killed
from tests.workers.tiny import TinyModel
from workers import jobs, libraries, science, work
from workers.models import Job, Library

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parents[2]

#: perform a job in a process that can be killed; the model is slow enough to be caught at work
VICTIM = """
import os, sys
import django
django.setup()
from pathlib import Path
from django.conf import settings
from tests.workers.tiny import TinyModel
from workers import science, work
from mlcore.retrieval import importer
settings.FERRY_DATA = Path(sys.argv[2])
science.load_model = lambda folder: TinyModel(pause=0.004)
build = importer.build
def small_steps(*args, **options):
    return build(*args, **options, commit_every=64, workers=1)
import mlcore.retrieval.library
mlcore.retrieval.library.build = small_steps
work.perform(sys.argv[1])
"""


@pytest.fixture(autouse=True)
def tiny(monkeypatch, house):
    """The small model instead of a trained one; no bells."""
    monkeypatch.setattr(science, "load_model", lambda folder: TinyModel())
    monkeypatch.setattr(jobs, "ring", lambda job: None)


def alkanes(count: int, extra: str = "") -> SimpleUploadedFile:
    """A table of ``count`` different molecules, and whatever else."""
    lines = [f"m{n},{'C' * (n % 40 + 1)}{'N' * (n // 40 + 1)}" for n in range(count)]
    return SimpleUploadedFile("mine.csv", ("id,smiles\n" + "\n".join(lines) + "\n" + extra).encode())


def begin(user, file: SimpleUploadedFile) -> Job:
    """Submit."""
    return Job.objects.get(pk=libraries.import_upload(file, "Mine", user)["id"])


def test_from_a_table_to_a_library_that_opens(member, settings):
    job = begin(member, alkanes(20, extra="bad,C1CC\ntwice,CN\n"))
    assert work.perform(str(job.pk)) == "done"
    row = Library.objects.get(pk="mine")
    assert (row.state, row.size) == ("ready", 20)
    assert (row.report["read"], row.report["refused"], row.report["duplicates"]) == (22, 1, 1)
    assert row.model_hash == TinyModel.fingerprint
    assert str(settings.FERRY_DATA) not in str(row.report), "no paths of this machine in what people read"
    opened = science.open_library(row.folder, TinyModel.fingerprint)
    assert opened.size == 20
    assert opened.id == "mine"
    assert list((settings.FERRY_DATA / "uploads").iterdir()) == [], "the upload is gone once it is imported"


def test_killed_half_way_it_is_taken_up_by_the_sweeper_and_loses_no_row(member, settings):
    job = begin(member, alkanes(600))
    kill_at_work(VICTIM, job, settings)
    assert 64 <= job.progress["done"] < 600
    assert Library.objects.get(pk="mine").state == "importing"
    sweep_until_found()
    assert Job.objects.get(pk=job.pk).state == "queued"
    assert work.perform(str(job.pk)) == "done"
    job.refresh_from_db()
    assert job.token == 2
    assert "after record" in job.log_tail, "it must go on, not begin again"
    row = Library.objects.get(pk="mine")
    assert (row.size, row.report["read"], row.report["used"]) == (600, 600, 600)
    opened = science.open_library(row.folder, TinyModel.fingerprint)
    assert sorted(r.id for r in opened.rows(range(600))) == sorted(f"m{n}" for n in range(600))


def test_a_file_without_molecules_makes_no_library_and_is_named_as_its_owner_knows_it(member):
    job = begin(member, SimpleUploadedFile("x.csv", b"name,colour\na,red\n"))
    assert work.perform(str(job.pk)) == "failed"
    problem = libraries.job_status(str(job.pk), member)["problem"]
    assert "“x.csv” has no column with structures" in problem["message"]
    assert (problem["field"], problem["remedy"]) == (
        "file",
        "Name the column that holds the SMILES 'smiles'.",
    )
    assert [entry["status"] for entry in libraries.list_libraries(member)] == ["ready", "failed"]


def test_killed_after_the_last_step_the_library_and_its_report_stay(member, monkeypatch):
    job = begin(member, alkanes(5))
    perform_and_be_killed(job, monkeypatch)
    assert work.perform(str(job.pk)) == "done"
    job.refresh_from_db()
    assert job.result["used"] == 5
    assert Library.objects.get(pk="mine").state == "ready"


def test_a_library_that_was_deleted_meanwhile_leaves_no_files(member, settings):
    job = begin(member, alkanes(5))
    folder = Library.objects.get(pk="mine").folder
    Library.objects.all().delete()
    assert work.perform(str(job.pk)) == "failed"
    assert not folder.exists()
