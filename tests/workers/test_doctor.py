"""What the doctor sees, what it may remove, and what never leaves the house in its report."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from workers import doctor, guards, jobs, registry
from workers.models import Job, Library, ModelVersion, Worker

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def quiet(house, monkeypatch):
    """A house in order: triggers laid, a worker at every queue, no bells."""
    guards.install()
    monkeypatch.setattr(jobs, "ring", lambda job: None)
    now = timezone.now() + timedelta(hours=1)
    Worker.objects.create(name="w:1", queues=["training", "indexing", "inference"], started=now, seen=now)
    return house


def found(report, check: str) -> list[dict]:
    """The findings of one check."""
    return next(entry for entry in report["checks"] if entry["check"] == check)["findings"]


def model(settings, *, digest: str = "b" * 64, **more) -> ModelVersion:
    """A registered model with its folder."""
    job = Job.objects.create(kind="monge", queue="training", state="done", finished=timezone.now())
    folder = settings.FERRY_DATA / "jobs" / str(job.pk) / "model"
    folder.mkdir(parents=True)
    (folder / "card.json").write_text(json.dumps({"sha256": digest}))
    return registry.register("monge", "", folder, job, **more)


def test_a_house_in_order_is_fine(settings, write_library):
    model(settings)
    write_library(settings.FERRY_DATA / "libraries" / "amines")
    Library.objects.create(id="amines", name="Amines", state="ready", model_hash="a" * 64)
    report = doctor.examine()
    assert report["fine"], report
    assert {finding["level"] for entry in report["checks"] for finding in entry["findings"]} <= {"note"}
    with pytest.raises(SystemExit) as end:
        call_command("doctor")
    assert end.value.code == 0


def test_rows_whose_files_are_gone_or_others(settings):
    gone, other = model(settings), model(settings)
    (registry.resolve(gone.folder) / "card.json").unlink()
    (registry.resolve(other.folder) / "card.json").write_text(json.dumps({"sha256": "c" * 64}))
    Library.objects.create(id="amines", name="Amines", state="ready")
    report = doctor.examine(repair=True)
    assert len(found(report, "models")) == 2
    told = sorted(finding["message"] for finding in found(report, "models"))
    assert "c" * 12 in told[0]
    assert "gone" in told[1]
    assert "amines" in found(report, "libraries")[0]["message"]
    assert not report["fine"], "rows are never deleted"
    assert ModelVersion.objects.count() == 2
    with pytest.raises(SystemExit) as end:
        call_command("doctor", "--json")
    assert end.value.code == 1


def test_files_that_no_row_knows(settings, write_library):
    data = settings.FERRY_DATA
    kept = model(settings)
    running = Job.objects.create(
        kind="monge", queue="training", state="running", lease_until=timezone.now() + timedelta(hours=1)
    )
    for name in (str(running.pk), str(uuid.uuid4()), "somebody's notes"):
        (data / "jobs" / name).mkdir(parents=True)
        (data / "jobs" / name / "checkpoint.safetensors").write_text("x")
    orphan = data / "jobs" / str(uuid.uuid4()) / "model"
    orphan.mkdir(parents=True)
    (orphan / "card.json").write_text("{}")
    half_deleted = registry.resolve(kept.folder).with_name("model.deleted-7")
    half_deleted.mkdir()
    write_library(data / "libraries" / "whole")
    (data / "libraries" / "empty").mkdir()
    report = doctor.examine()
    assert not report["fine"]
    items = {item for finding in found(report, "files without a row") for item in finding["items"]}
    assert items >= {"whole", "empty", "somebody's notes", "model.deleted-7", orphan.parent.name}
    assert str(running.pk) not in items
    report = doctor.examine(repair=True)
    assert (data / "jobs" / str(running.pk) / "checkpoint.safetensors").exists(), "an open job's files"
    assert registry.resolve(kept.folder).exists()
    assert (data / "libraries" / "whole").exists(), "finished work is for a person to judge"
    assert orphan.exists()
    assert (data / "jobs" / "somebody's notes").exists(), "Ferry did not make it"
    assert not (data / "libraries" / "empty").exists()
    assert not half_deleted.exists()
    assert len(list((data / "jobs").iterdir())) == 4
    done = next(entry for entry in report["checks"] if entry["check"] == "files without a row")["done"]
    assert len(done) == 3
    assert all(words.startswith("removed ") for words in done)


def test_the_files_of_an_import_that_can_go_on_are_left(settings):
    data = settings.FERRY_DATA
    token = "0" * 32
    Job.objects.create(
        kind="library", queue="indexing", state="failed", finished=timezone.now(),
        parameters={"library": "mine", "upload": token, "name": "Mine"},
    )  # fmt: skip
    Library.objects.create(id="mine", name="Mine", state="failed")
    for place in (data / "uploads" / token, data / "libraries" / "mine.building"):
        place.mkdir(parents=True)
    report = doctor.examine(repair=True)
    assert found(report, "leftovers") == []
    assert (data / "uploads" / token).exists()
    assert (data / "libraries" / "mine.building").exists()


def test_a_job_without_a_sign_of_life_is_put_back():
    job = Job.objects.create(
        kind="monge", queue="training", state="running", lease_until=timezone.now() - timedelta(seconds=1)
    )
    assert "silent" in found(doctor.examine(), "silent jobs")[0]["message"]
    report = doctor.examine(repair=True)
    assert found(report, "silent jobs") == []
    job.refresh_from_db()
    assert job.state == "queued"


def test_a_missing_trigger_is_seen_and_laid():
    with connection.cursor() as cursor:
        cursor.execute(
            "DROP TRIGGER job_transition" + (" ON workers_job" if connection.vendor == "postgresql" else "")
        )
    assert list(found(doctor.examine(), "triggers")[0]["items"]) == ["job_transition"]
    assert found(doctor.examine(repair=True), "triggers") == []


def test_nobody_at_a_queue_where_work_waits(settings):
    Worker.objects.all().delete()
    assert doctor.examine()["fine"], "a server that is stopped, and has nothing to do, is not broken"
    Job.objects.create(kind="monge", queue="training")
    told = [finding for finding in found(doctor.examine(), "workers") if finding["level"] == "fault"]
    assert "training" in told[0]["message"]
    assert "1 jobs" in told[0]["message"]


def test_a_database_that_lacks_migrations_is_told_first(monkeypatch):
    monkeypatch.setattr(doctor.status, "pending_migrations", lambda: ["workers.0009_later"])
    report = doctor.examine()
    assert [entry["check"] for entry in report["checks"]] == ["database"]
    assert not report["fine"]


def test_a_redis_that_is_away_is_told_without_its_password(settings):
    settings.REDIS_URL = "redis://:hunter2hunter2@127.0.0.1:1/0"
    report = doctor.examine()
    assert "Redis does not answer" in found(report, "broker")[0]["message"]
    assert "hunter2" not in json.dumps(report)


def test_no_secret_leaves_the_house(settings, monkeypatch):
    settings.FERRY_WEBHOOK_SECRET = "the-hook-secret"
    monkeypatch.setenv("FERRY_METRICS_TOKEN", "the-token")
    told = f"it said {settings.SECRET_KEY} and the-hook-secret, the-token"
    leaky = doctor.Finding(told, items=("the-hook-secret",))
    monkeypatch.setattr(doctor, "CHECKS", (("leaky", lambda: iter([leaky]), None),))
    text = json.dumps(doctor.examine(), ensure_ascii=False)
    assert "it said … and …, …" in text
    assert settings.SECRET_KEY not in text
    assert "the-hook-secret" not in text
