"""A real worker process: the bell travels through the broker, the job through the database."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection

from workers import jobs, libraries
from workers.models import Job, Library
from workers.tasks import bells

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parents[2]

WORKER = """
import sys
import django
django.setup()
from tests.workers.tiny import TinyModel
from workers import science
science.load_model = lambda folder: TinyModel()
from workers.celery import app
app.worker_main(["--quiet", "worker", "--queues", "indexing", "--pool", "solo", "--loglevel", "WARNING",
                 "--without-mingle", "--without-gossip", "--without-heartbeat"])
"""

RINGER = """
import sys
import django
django.setup()
from workers import jobs
from workers.models import Job
jobs.ring(Job.objects.get(pk=sys.argv[1]))
"""

BROKERS = [pytest.param("folder"), pytest.param("redis", marks=pytest.mark.service("redis"))]


@pytest.mark.parametrize("broker", BROKERS)
def test_a_bell_reaches_a_worker_and_a_lost_one_is_rung_again(broker, member, house, settings, monkeypatch):
    monkeypatch.setattr(jobs, "ring", lambda job: None)  # the first bell is lost
    file = SimpleUploadedFile("mine.smi", b"CCO a\nCCN b\n")
    check = libraries.check_upload(file, member)
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "webapp.settings",
        "DATABASE_URL": f"sqlite:///{connection.settings_dict['NAME']}",
        "FERRY_DATA": str(settings.FERRY_DATA),
        "FERRY_MODELS": str(settings.FERRY_MODELS),
        "FERRY_SWEEP": "0.5",
    }
    if broker == "redis":
        environment["REDIS_URL"] = os.environ["FERRY_TEST_REDIS_URL"]
    worker = subprocess.Popen([sys.executable, "-c", WORKER], cwd=ROOT, env=environment)
    try:
        wait_for(check["id"], worker)
        assert libraries.upload_status(check["upload"], member)["report"]["used"] == 2
        first = libraries.start_import(check["upload"], "First", member)["id"]
        wait_for(first, worker)
        file.seek(0)
        second = libraries.import_upload(file, "Second", member)["id"]
        rung = subprocess.run([sys.executable, "-c", RINGER, second], cwd=ROOT, env=environment, check=False)
        assert rung.returncode == 0
        wait_for(second, worker)
    finally:
        worker.terminate()
        assert worker.wait(20) == 0
    assert [row.size for row in Library.objects.order_by("id")] == [2, 2]


def wait_for(pk: str, worker: subprocess.Popen[bytes]) -> None:
    """Until the job is done."""
    until = time.monotonic() + 60
    while (state := Job.objects.values_list("state", flat=True).get(pk=pk)) != "done":
        assert state in ("queued", "running"), Job.objects.get(pk=pk).error
        assert worker.poll() is None, "the worker ended"
        assert time.monotonic() < until, state
        time.sleep(0.1)


def test_a_broker_that_is_away_loses_nothing(monkeypatch, caplog):
    def away(*_, **__):
        raise ConnectionError("no route to the broker")

    monkeypatch.setattr(bells.run_job, "apply_async", away)
    job = jobs.submit("library", {"library": "l", "upload": "u", "name": "n"})
    assert Job.objects.get(pk=job.pk).state == "queued"
    assert "the sweeper will" in caplog.text
