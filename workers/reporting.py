"""How work tells where it stands: a thread beside it renews the lease and writes progress, so that the work never waits
for the database, and goes on while that is away."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from types import TracebackType
from typing import Any, Self

from django.conf import settings
from django.db import connections

from workers import history, jobs
from workers.history import Measured
from workers.jobs import WATCHDOG, Claim, LeaseLost
from workers.models import Job
from workers.usage import Usage

log = logging.getLogger(__name__)

LOG_LINES = 200
#: seconds between two writes of progress
NOTE_EVERY = 0.5
#: how much of the past a rate rests on, in seconds
RATE_OVER = 60.0


class Reporter:
    """Renews the lease every ``FERRY_HEARTBEAT`` seconds and learns there whether to stop; writes what is new at once.

    ``seconds`` is the longest the work may take: the watchdog stops it then, as a person would.
    """

    def __init__(self, held: Claim, *, attempt: int, seconds: float = math.inf) -> None:
        self.held, self.attempt = held, attempt
        self.stopping = self.lost = False
        self._limit = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._state: dict[str, Any] = {"done": 0, "total": None, "metrics": {}}
        self._lines: deque[str] = deque(maxlen=LOG_LINES)
        self._points: list[Measured] = []
        self._pace: deque[tuple[float, int]] = deque(maxlen=600)
        self._new = False
        self._warned: set[str] = set()
        self._worked = 0.0
        self._furthest = 0  # of all attempts before this one
        self._began = time.monotonic()
        self._usage = Usage()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)

    def __enter__(self) -> Self:
        self._worked = history.seconds_worked(self.held.job)
        progress = Job.objects.values_list("progress", flat=True).get(pk=self.held.job)
        self._furthest = int(progress.get("furthest", 0))
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Write the last news and end the thread."""
        if not self._ended.is_set():
            self._ended.set()
            self._thread.join()

    def update(self, done: int, total: int | None, metrics: dict[str, float]) -> None:
        """Take note of where the work stands; written within ``NOTE_EVERY`` seconds."""
        now = time.monotonic()
        with self._lock:
            if not self._pace or now - self._pace[-1][0] > 0.1:
                self._pace.append((now, done))
            while self._pace and now - self._pace[0][0] > RATE_OVER:
                self._pace.popleft()
            wrong = [name for name, value in metrics.items() if not math.isfinite(value)]
            metrics = {name: value for name, value in metrics.items() if name not in wrong}
            self._warn(wrong)
            self._state = {"done": done, "total": total, "metrics": metrics}
            if metrics:
                figures = {name: value for name, value in metrics.items() if name != "epoch"}
                seconds = self._worked + now - self._began
                self._points.append(Measured(done, seconds, metrics.get("epoch"), figures))
            self._new = True

    def log(self, text: str) -> None:
        """Take note of a line."""
        with self._lock:
            self._lines.append(f"{time.strftime('%H:%M:%S')} {text}")
            self._new = True

    def _warn(self, wrong: list[str]) -> None:
        """Say once of each metric that it is no number any more: neither the database nor JSON knows NaN."""
        for name in set(wrong) - self._warned:
            self._lines.append(f"{time.strftime('%H:%M:%S')} {name} is not a finite number any more")
        self._warned |= set(wrong)

    def flush(self) -> None:
        """Write what is new now. Raises LeaseLost when the job is somebody else's by now."""
        with self._writing:
            with self._lock:
                furthest = max(self._furthest, self._state["done"])
                state = {**self._state, **self._speed(), "furthest": furthest, "resources": self._usage.now()}
                lines, points = "\n".join(self._lines), self._points
                self._points, self._new = [], False
            try:
                advanced = furthest > self._furthest
                self.stopping = jobs.note(self.held, state, lines, advanced=advanced) == Job.State.STOPPING
                history.record(self.held.job, self.attempt, _last_of_each(points))
            except LeaseLost:
                self.stopping = self.lost = True
                raise
            except Exception:
                with self._lock:
                    self._points, self._new = points + self._points, True
                raise

    def _speed(self) -> dict[str, float | None]:
        """Steps a second over the last minute, and the seconds left at that rate."""
        if len(self._pace) < 2:
            return {"rate": None, "seconds_left": None}
        (first, start), (last, done) = self._pace[0], self._pace[-1]
        rate = (done - start) / (last - first) if last > first and done > start else None
        total = self._state["total"]
        left = max(total - done, 0) / rate if rate and total is not None else None
        return {"rate": rate, "seconds_left": left}

    def _run(self) -> None:
        due = time.monotonic() + settings.FERRY_HEARTBEAT
        try:
            while not self._ended.wait(min(NOTE_EVERY, settings.FERRY_HEARTBEAT)):
                beats = time.monotonic() >= due
                due = time.monotonic() + settings.FERRY_HEARTBEAT if beats else due
                if not self._try(beats):
                    return
            self._try(beats=False)
        finally:
            connections.close_all()

    def _try(self, beats: bool) -> bool:
        """Beat and write; False once the lease is lost. Other faults pass: the lease is longer than a beat."""
        try:
            if beats:
                self._watch()
                self.stopping = jobs.beat(self.held) == Job.State.STOPPING
            if self._new:
                self.flush()
        except LeaseLost:
            self.stopping = self.lost = True
            return False
        except Exception:
            log.exception("job %s could not report; it will try again", self.held.job)
            connections.close_all()
        return True

    def _watch(self) -> None:
        """Stop what takes too long, or more memory than it may."""
        memory = settings.FERRY_JOB_MEMORY_MB
        if memory and self._usage.memory_mb() > memory:
            self._stop(f"the memory limit of {memory:,} MB")
        elif time.monotonic() > self._limit:
            self._stop("the time limit")

    def _stop(self, why: str) -> None:
        job = Job.objects.filter(pk=self.held.job, token=self.held.token).first()
        if job is not None and job.state == Job.State.RUNNING:
            self.log(f"{WATCHDOG} stops the work: {why}")
            jobs.stop(job, f"{WATCHDOG}: {why}")


class JobProgress:
    """The ``Progress`` that a job's work is given."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    @property
    def stopping(self) -> bool:
        """True once somebody asked for a stop, or another worker holds the job."""
        return self._reporter.stopping

    def update(self, done: int, total: int | None = None, **metrics: float) -> None:
        """How far the work is. Raises LeaseLost when the job is somebody else's by now."""
        if self._reporter.lost:
            raise LeaseLost
        figures = {name: float(value) for name, value in metrics.items()}
        self._reporter.update(int(done), None if total is None else int(total), figures)

    def log(self, text: str) -> None:
        """One line for whoever watches."""
        self._reporter.log(text)

    def flush(self) -> None:
        """Write the latest state to the row now."""
        self._reporter.flush()


def _last_of_each(points: list[Measured]) -> list[Measured]:
    """The last of the points at each step, in order of steps."""
    found = {point.step: point for point in points}
    return [found[step] for step in sorted(found)]
