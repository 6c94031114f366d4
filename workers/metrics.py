"""What the service tells Prometheus about itself. All names begin with ``ferry_``.

Where several processes serve (``PROMETHEUS_MULTIPROC_DIR`` is set, see :func:`share`) each writes its figures into
files there and any of them answers for all; counters of a process that has ended stay, its gauges go. Jobs and workers
are read from the database when asked.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import DatabaseError
from django.db.models import Count, Min
from django.utils import timezone
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import REGISTRY, Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SHARED = "PROMETHEUS_MULTIPROC_DIR"
_SECONDS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10, 30)

REQUESTS = Histogram(
    "ferry_request_seconds", "Time to an answer.", ("method", "view", "status"), buckets=_SECONDS
)
UNDER_WAY = Gauge("ferry_requests_under_way", "Requests that the gate counts.", multiprocess_mode="livesum")
SHED = Counter("ferry_requests_shed_total", "Requests refused with 503 before any work, by why.", ("why",))
WORKING = Gauge("ferry_searches_in_flight", "Questions being worked on.", multiprocess_mode="livesum")
WAITING = Gauge("ferry_searches_waiting", "Questions waiting for their turn.", multiprocess_mode="livesum")
BATCH_SIZE = Histogram(
    "ferry_batch_size", "Searches in one batch.", buckets=(1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64)
)
BATCH_WAIT = Histogram(
    "ferry_batch_wait_seconds",
    "How long the oldest of a batch waited for it.",
    buckets=(0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1),
)
DROPPED = Counter(
    "ferry_questions_dropped_total", "Questions dropped before work: full, late (deadline) or gone.", ("why",)
)
MODEL = Gauge("ferry_model_info", "1 for the model that answers.", ("sha256",), multiprocess_mode="livemax")
LIBRARIES = Gauge("ferry_libraries", "Libraries that are open in a process.", multiprocess_mode="livemax")


class _Batches:
    """What the batcher reports."""

    def batch(self, items: int, waited: float) -> None:
        """A batch begins."""
        BATCH_SIZE.observe(items)
        BATCH_WAIT.observe(waited)

    def dropped(self, why: str) -> None:
        """A question was not worked on."""
        DROPPED.labels(why).inc()


BATCHES = _Batches()
_model: str | None = None


def model_loaded(sha256: str, libraries: int) -> None:
    """The model with this hash answers from now on in this process, over so many libraries."""
    global _model  # noqa: PLW0603
    if _model not in (None, sha256):
        MODEL.labels(_model).set(0)
    _model = sha256
    MODEL.labels(sha256).set(1)
    LIBRARIES.set(libraries)


def share() -> None:
    """Let the processes that this one starts put their figures together, beginning with none.

    The library reads the variable when it is imported, so this one's own figures stay its own.
    """
    folder = settings.FERRY_DATA / "metrics"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.environ[_SHARED] = str(folder)


def text() -> bytes:
    """Everything in Prometheus' text format."""
    registry = REGISTRY
    folder = os.environ.get(_SHARED)
    if folder:
        _forget_the_dead(Path(folder))
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)
    own = CollectorRegistry()
    own.register(_Memory())
    own.register(_Jobs())
    return generate_latest(registry) + generate_latest(own)


def _processes() -> set[int]:
    """The numbers of the processes whose figures are put together; this one where it serves alone."""
    folder = os.environ.get(_SHARED)
    if not folder:
        return {os.getpid()}
    return {int(path.stem.rpartition("_")[2]) for path in Path(folder).glob("*.db")}


def _forget_the_dead(folder: Path) -> None:
    """Take away the gauges of processes that have ended without saying so."""
    for pid in _processes():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            multiprocess.mark_process_dead(pid, str(folder))
        except PermissionError:  # it lives, and is somebody else's
            continue


class _Memory(Collector):
    """Memory of the web processes."""

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Resident memory by process number, where the system tells it as Linux does."""
        resident = GaugeMetricFamily(
            "ferry_process_resident_bytes", "Resident memory of a process.", labels=("pid",)
        )
        for pid in sorted(_processes()):
            try:
                pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
            except (OSError, ValueError, IndexError):
                continue
            resident.add_metric((str(pid),), pages * os.sysconf("SC_PAGE_SIZE"))
        yield resident


class _Jobs(Collector):
    """The queues as the database knows them."""

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Waiting and running jobs by queue; how long the oldest has waited; how long ago workers gave a sign."""
        from workers.models import Job

        now = timezone.now()
        by_state: dict[str, Any] = {
            "ferry_jobs_queued": ("Jobs that wait, by queue.", (Job.State.QUEUED,)),
            "ferry_jobs_running": ("Jobs that somebody works on, by queue.", Job.HELD),
        }
        open_jobs = Job.objects.filter(state__in=Job.OPEN).order_by()
        told = open_jobs.values("queue", "state").annotate(
            number=Count("pk"), oldest=Min("created"), heard=Min("heartbeat")
        )
        try:
            rows = list(told)
        except DatabaseError:  # the rest is still worth knowing, now more than ever
            return
        queues = sorted({row["queue"] for row in rows})
        for name, (meaning, states) in by_state.items():
            family = GaugeMetricFamily(name, meaning, labels=("queue",))
            for queue in queues:
                mine = (row["number"] for row in rows if row["queue"] == queue and row["state"] in states)
                family.add_metric((queue,), sum(mine))
            yield family
        waits = GaugeMetricFamily(
            "ferry_jobs_oldest_waiting_seconds", "How long the oldest job has waited.", labels=("queue",)
        )
        silence = GaugeMetricFamily(
            "ferry_jobs_heartbeat_age_seconds", "The longest silence of a running job.", labels=("queue",)
        )
        for row in rows:
            if row["state"] == Job.State.QUEUED:
                waits.add_metric((row["queue"],), max(0.0, (now - row["oldest"]).total_seconds()))
        for queue in queues:
            heard = [
                r["heard"] for r in rows if r["queue"] == queue and r["state"] in Job.HELD and r["heard"]
            ]
            if heard:
                silence.add_metric((queue,), max(0.0, (now - min(heard)).total_seconds()))
        yield waits
        yield silence
