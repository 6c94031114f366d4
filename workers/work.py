"""Doing one job: claim it, keep the lease alive, report progress, end it in words."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from django.conf import settings
from django.db import connections

from workers import jobs, kinds
from workers.errors import BadInput, Busy, NotFound
from workers.jobs import Claim, LeaseLost
from workers.models import Job

log = logging.getLogger(__name__)

LOG_LINES = 200
NOTE_EVERY = 1.0


class Heartbeat:
    """Renews the lease from a thread of its own, and learns there whether to stop."""

    def __init__(self, held: Claim) -> None:
        self.held = held
        self.stopping = False
        self.lost = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._ended.wait(settings.FERRY_HEARTBEAT):
                try:
                    self.stopping = jobs.beat(self.held) == Job.State.STOPPING
                except LeaseLost:
                    self.stopping = self.lost = True
                    return
                except Exception:  # the database may be away for a moment; the lease is longer than a beat
                    log.exception("a heartbeat of job %s failed", self.held.job)
        finally:
            connections.close_all()


class JobProgress:
    """The ``Progress`` of a job: writes to its row at most once a second and to its event stream."""

    def __init__(self, held: Claim, heartbeat: Heartbeat) -> None:
        self._held = held
        self._heartbeat = heartbeat
        self._state: dict[str, Any] = {"done": 0, "total": None, "metrics": {}}
        self._lines: deque[str] = deque(maxlen=LOG_LINES)
        self._noted = 0.0

    @property
    def stopping(self) -> bool:
        """True once somebody asked for a stop, or another worker holds the job."""
        return self._heartbeat.stopping

    def update(self, done: int, total: int | None = None, **metrics: float) -> None:
        """How far the work is. Raises LeaseLost when the job is somebody else's by now."""
        if self._heartbeat.lost:
            raise LeaseLost
        self._state = {
            "done": int(done),
            "total": None if total is None else int(total),
            "metrics": {name: float(value) for name, value in metrics.items()},
        }
        if time.monotonic() - self._noted >= NOTE_EVERY:
            self.flush()

    def log(self, text: str) -> None:
        """One line for whoever watches."""
        self._lines.append(f"{time.strftime('%H:%M:%S')} {text}")
        if time.monotonic() - self._noted >= NOTE_EVERY:
            self.flush()

    def flush(self) -> None:
        """Write the latest state to the row now."""
        self._noted = time.monotonic()
        jobs.note(self._held, self._state, "\n".join(self._lines))


def folder_of(job: Job) -> Path:
    """Where the job may write while it runs."""
    return settings.FERRY_DATA / "jobs" / str(job.pk)


def perform(pk: str) -> str | None:
    """Do the job called ``pk`` if it can be claimed; the state it ended in, or None when it was not ours to do."""
    held = jobs.claim(pk, f"{socket.gethostname()}:{os.getpid()}")
    if held is None:
        return None
    job = Job.objects.get(pk=held.job)
    state, result, error = Job.State.DONE, {}, ""
    with Heartbeat(held) as heartbeat:
        progress = JobProgress(held, heartbeat)
        try:
            kind = kinds.find(job.kind)
            result = kind.load()(kind.read(job.parameters), job, progress)
            progress.flush()
            if heartbeat.stopping or Job.objects.filter(pk=job.pk, state=Job.State.STOPPING).exists():
                state = Job.State.STOPPED if result.get("stopped") else Job.State.DONE
        except LeaseLost:
            log.warning("job %s is held by another worker now; this one lets go", job.pk)
            return None
        except BadInput as fault:
            state, error = Job.State.FAILED, str(fault)
            result = {"problem": {name: getattr(fault, name) for name in ("message", "field", "remedy")}}
        except (NotFound, Busy) as fault:
            state, error = Job.State.FAILED, str(fault)
        except Exception as fault:  # whatever it was, the row has to tell
            log.exception("job %s failed", job.pk)
            state = Job.State.FAILED
            error = f"The work ended unexpectedly ({type(fault).__name__}). The server's log has the details."
    return str(state) if jobs.finish(held, state, result=result, error=error) else None
