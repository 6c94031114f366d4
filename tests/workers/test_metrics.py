"""The figures for Prometheus, read back with its own parser."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from workers import engine, inference, metrics
from workers.batching import Batcher
from workers.models import Job

pytestmark = pytest.mark.django_db(transaction=True)


def read() -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample by name and labels."""
    families = text_string_to_metric_families(metrics.text().decode())
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def value(name: str, **labels: str) -> float | None:
    return read().get((name, tuple(sorted(labels.items()))))


def job(state: str, queue: str, created: float = 0.0, heartbeat: float | None = None) -> Job:
    """A job whose times lie so many seconds back."""
    now = timezone.now()
    lease = now if state in Job.HELD else None
    made = Job.objects.create(kind="test", queue=queue, state=state, lease_until=lease)
    Job.objects.filter(pk=made.pk).update(
        created=now - timedelta(seconds=created),
        heartbeat=None if heartbeat is None else now - timedelta(seconds=heartbeat),
    )
    return made


def test_jobs_by_queue_come_from_the_database():
    job("queued", "training", created=120)
    job("queued", "training", created=30)
    job("running", "training", heartbeat=7)
    job("stopping", "training", heartbeat=50)
    job("queued", "indexing", created=5)
    found = read()
    training, indexing = (("queue", "training"),), (("queue", "indexing"),)
    assert found["ferry_jobs_queued", training] == 2
    assert found["ferry_jobs_running", training] == 2
    assert found["ferry_jobs_queued", indexing] == 1
    assert found["ferry_jobs_running", indexing] == 0
    assert found["ferry_jobs_oldest_waiting_seconds", training] == pytest.approx(120, abs=5)
    assert found["ferry_jobs_heartbeat_age_seconds", training] == pytest.approx(50, abs=5)
    assert ("ferry_jobs_heartbeat_age_seconds", indexing) not in found


def test_batches_and_drops_are_counted():
    before = value("ferry_batch_size_count") or 0, value("ferry_questions_dropped_total", why="late") or 0
    batcher: Batcher = Batcher(lambda items: items, watch=metrics.BATCHES)
    batcher.submit(1)
    with pytest.raises(inference.Busy):
        batcher.submit(2, deadline=0.0)
    assert value("ferry_batch_size_count") == before[0] + 1
    assert value("ferry_questions_dropped_total", why="late") == before[1] + 1


def test_the_model_that_answers_is_named(science):
    engine.shared().warm()
    assert value("ferry_model_info", sha256="a" * 64) == 1
    assert value("ferry_libraries") == 1
    metrics.model_loaded("b" * 64, 2)
    assert value("ferry_model_info", sha256="a" * 64) == 0
    assert value("ferry_model_info", sha256="b" * 64) == 1


def test_who_works_is_counted_while_they_work(science):
    seen = []
    search = science.do_search

    def noted(*args, **options):
        seen.append(value("ferry_searches_in_flight"))
        return search(*args, **options)

    science.do_search = noted
    inference.search("x")
    assert seen == [1]
    assert value("ferry_searches_in_flight") == 0


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="this system has no /proc")
def test_memory_of_the_process_is_told():
    resident = value("ferry_process_resident_bytes", pid=str(os.getpid()))
    assert resident is not None
    assert 10e6 < resident < 100e9


_WORKER = """
import os, sys
import django
django.setup()
from workers import metrics
metrics.BATCHES.batch(int(sys.argv[1]), 0.001)
metrics.WORKING.inc()
if sys.argv[2] == "tell":
    sys.stdout.write(metrics.text().decode())
os._exit(0)
"""


def test_several_processes_answer_as_one_and_the_dead_leave_no_gauges(tmp_path):
    folder = tmp_path / "metrics"
    folder.mkdir()
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "webapp.settings",
        "FERRY_DATA": str(tmp_path / "data"),
        "DATABASE_URL": f"sqlite:///{tmp_path / 'empty.sqlite3'}",
        "PROMETHEUS_MULTIPROC_DIR": str(folder),
    }

    def run(*arguments: str) -> str:
        command = [sys.executable, "-c", _WORKER, *arguments]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("3", "quiet")
    families = list(text_string_to_metric_families(run("5", "tell")))
    samples = {s.name: s.value for family in families for s in family.samples if not s.labels}
    assert samples["ferry_batch_size_count"] == 2
    assert samples["ferry_batch_size_sum"] == 8
    assert samples["ferry_searches_in_flight"] == 1, "the first has ended"


def test_sharing_begins_with_nothing(settings, tmp_path, monkeypatch):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")
    settings.FERRY_DATA = tmp_path
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "counter_1.db").write_bytes(b"old")
    metrics.share()
    assert os.environ["PROMETHEUS_MULTIPROC_DIR"] == str(tmp_path / "metrics")
    assert list((tmp_path / "metrics").iterdir()) == []
