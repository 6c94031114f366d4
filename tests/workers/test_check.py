"""A file read to its end by a job: the report, the records to mend; killed half-way, stopped, not to be used."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from tests.workers.killing import kill_at_work, sweep_until_found
from tests.workers.states import perform_and_be_killed
from webapp.api.serializers import answers
from workers import jobs, libraries, uploads, work
from workers.errors import NotFound
from workers.models import Job, Library

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parents[2]
TABLE = b"id,smiles\na,CCO\nb,C1CC\nc,OCC\n"

#: perform a check in a process that can be killed, slow enough to be caught at work
VICTIM = """
import sys, time
import django
django.setup()
from pathlib import Path
from django.conf import settings
from mlcore.retrieval import dry_run, importer
import mlcore.retrieval.library
from workers import work
settings.FERRY_DATA = Path(sys.argv[2])
build, commit = importer.build, dry_run.DryRun.commit
def small_steps(*args, **options):
    return build(*args, **options, commit_every=64, workers=1)
def slowly(self, step):
    commit(self, step)
    time.sleep(0.4)
mlcore.retrieval.library.build = small_steps
dry_run.DryRun.commit = slowly
work.perform(sys.argv[1])
"""


@pytest.fixture(autouse=True)
def quiet(monkeypatch, house):
    """No bells."""
    monkeypatch.setattr(jobs, "ring", lambda job: None)


def send(user, content: bytes, name: str = "mine.csv") -> Job:
    """The job that checks a file."""
    return Job.objects.get(pk=libraries.check_upload(SimpleUploadedFile(name, content), user, "Mine")["id"])


def names(job: Job) -> set[str]:
    """What lies beside the upload."""
    return {path.name for path in uploads.find(job.parameters["upload"]).folder.iterdir()}


@pytest.mark.parametrize(("name", "content"), [("mine.csv", TABLE), ("mine.csv.gz", gzip.compress(TABLE))])
def test_the_report_and_the_records_to_mend_lie_beside_the_upload(member, settings, name, content):
    job = send(member, content, name)
    assert libraries.upload_status(job.parameters["upload"], member)["report"] is None
    with pytest.raises(NotFound, match="to its end"):
        libraries.checked(str(job.pk), member)
    assert work.perform(str(job.pk)) == "done"
    job.refresh_from_db()
    assert job.result == {
        "read": 3,
        "used": 1,
        "refused": 1,
        "duplicates": 1,
        "sentence": "3 read: 1 used, 1 duplicate, 1 refused",
    }
    assert job.progress["done"] == job.progress["total"] == 3
    found = libraries.checked(str(job.pk), member)
    assert (found["token"], found["file"], found["name"]) == (job.parameters["upload"], name, "Mine")
    report = found["report"]
    assert set(answers.ImportReport(report).data) == set(report)
    assert report["refusals"][0]["line"] == 3
    assert str(settings.FERRY_DATA) not in str(report), "no paths of this machine in what people read"
    assert names(job) == {"about.json", "report.json", "refused.csv", f"source{name.removeprefix('mine')}"}
    assert "C1CC" in uploads.find(job.parameters["upload"]).refused_path.read_text()
    assert not Library.objects.exists()


def test_without_refused_records_there_is_no_file_to_mend(member):
    job = send(member, b"CCO\nCCN\n", "mine.smi")
    assert work.perform(str(job.pk)) == "done"
    assert names(job) == {"about.json", "report.json", "source.smi"}


@pytest.mark.parametrize(
    ("name", "content", "message", "remedy"),
    [
        ("a.csv", b"name,weight\nethanol,46\n", "“a.csv” has no column with structures", "Name the column"),
        (
            "a.csv.gz",
            gzip.compress(TABLE * 50)[:60],
            "“a.csv.gz” is cut off: the gzip data ends early",
            "Copy or download it again.",
        ),
        (
            "a.csv",
            b"PK\x03\x04" + bytes(100),
            "“a.csv” is a ZIP archive or an Excel workbook",
            "save the sheet",
        ),
        ("a.csv", bytes(range(32)) * 9, "“a.csv” is not text", "plain or gzipped"),
    ],
)
def test_a_file_that_cannot_be_used_ends_the_job_with_fault_field_and_remedy(
    member, name, content, message, remedy
):
    job = send(member, content, name)
    assert work.perform(str(job.pk)) == "failed"
    state = libraries.job_status(str(job.pk), member)
    assert message in state["problem"]["message"]
    assert remedy in state["problem"]["remedy"]
    assert state["problem"]["field"] == "file"
    assert "source" not in state["message"]
    assert not {"report.json"} & names(job)


def test_killed_half_way_it_is_read_again_by_whoever_the_sweeper_finds(member, settings):
    lines = [f"m{n},{'C' * (n % 40 + 1)}{'N' * (n // 40 + 1)}" for n in range(600)]
    job = send(member, ("id,smiles\nbad,C1CC\n" + "\n".join(lines) + "\n").encode())
    kill_at_work(VICTIM, job, settings)
    assert not {"report.json", "refused.csv"} & names(job), "nothing half-made has a name that people see"
    sweep_until_found()
    assert work.perform(str(job.pk)) == "done"
    job.refresh_from_db()
    assert job.token == 2
    assert (job.result["read"], job.result["used"], job.result["refused"]) == (601, 600, 1)
    assert {"report.json", "refused.csv"} <= names(job)


def test_killed_after_the_report_it_is_not_read_again(member, monkeypatch):
    job = send(member, TABLE)
    perform_and_be_killed(job, monkeypatch)
    monkeypatch.setattr("mlcore.retrieval.library.build", None)
    assert work.perform(str(job.pk)) == "done"
    job.refresh_from_db()
    assert job.result["used"] == 1


def test_stopped_it_leaves_nothing_and_can_be_done_again(member, monkeypatch):
    from mlcore.retrieval import library

    build = library.build
    monkeypatch.setattr(library, "build", lambda *args, **options: build(*args, **options, commit_every=1))
    job = send(member, TABLE)
    beginning = work.Reporter.__enter__

    def stop(reporter):
        libraries.stop_job(str(job.pk), member)
        reporter.stopping = True
        return beginning(reporter)

    with monkeypatch.context() as patch:
        patch.setattr(work.Reporter, "__enter__", stop)
        assert work.perform(str(job.pk)) == "stopped"
    assert names(job) == {"about.json", "source.csv"}
    libraries.retry_job(str(job.pk), member)
    assert work.perform(str(job.pk)) == "done"
    assert "report.json" in names(job)
