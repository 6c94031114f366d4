"""Doing one job: claim it, keep the lease alive, report progress, end it in words."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from workers import faults, jobs, kinds, logs
from workers.jobs import LeaseLost
from workers.models import Job
from workers.reporting import JobProgress, Reporter

__all__ = ["JobProgress", "device", "folder_of", "perform"]

log = logging.getLogger(__name__)

#: a fault that passes by itself: the job is put back and tried again, later each time
BACK_OFF = 5.0  # seconds before the second attempt, doubled for each further one
LONGEST_WAIT = 600.0
Value = TypeVar("Value")


def folder_of(job: Job) -> Path:
    """Where the job may write while it runs."""
    return settings.FERRY_DATA / "jobs" / str(job.pk)


def device() -> str:
    """Where a job trains: what ``FERRY_DEVICE`` says, *auto* being ``cuda`` where this worker may use one."""
    from mlcore.runtime.device import choose

    return choose(settings.FERRY_DEVICE)


def perform(pk: str) -> str | None:
    """Do the job called ``pk`` if it can be claimed; the state it ended in, or None when it was not ours to do."""
    held = jobs.claim(pk, f"{socket.gethostname()}:{os.getpid()}")
    if held is None:
        return None
    mark = logs.job_id.set(str(held.job))
    try:
        return _held(held)
    finally:
        logs.job_id.reset(mark)


def _held(held: jobs.Claim) -> str | None:
    """Do the job that was claimed."""
    job = Job.objects.get(pk=held.job)
    kind = kinds.KINDS.get(job.kind)
    hours = kind.hours if kind is not None else 1.0
    with Reporter(held, attempt=job.token, seconds=hours * 3600) as reporter:
        state, result, error = _outcome(job, JobProgress(reporter))
        if state is None:
            log.warning("job %s is held by another worker now; this one lets go", job.pk)
            return None
        reporter.close()
        attempts = persistent(lambda: Job.objects.values_list("attempts", flat=True).get(pk=job.pk))
        wait = min(BACK_OFF * 2 ** (attempts - 1), LONGEST_WAIT)
        again = state == Job.State.QUEUED and attempts < jobs.MOST_ATTEMPTS
        if again and persistent(lambda: jobs.put_back(held, error, wait)):
            return str(state)
        if state == Job.State.QUEUED:
            state = Job.State.FAILED
        ended = persistent(lambda: jobs.finish(held, state, result=result, error=error))
    return str(state) if ended else None


def _outcome(job: Job, progress: JobProgress) -> tuple[str | None, dict[str, Any], str]:
    """Do the work: state, result and error; no state when the lease was lost, *queued* after a fault that passes."""
    try:
        kind = kinds.find(job.kind)
        result = kind.load()(kind.read(job.parameters), job, progress)
    except LeaseLost:
        return None, {}, ""
    except Exception as fault:  # noqa: BLE001  whatever it was, the row has to tell
        return faults.told(job, fault)
    stopped = progress.stopping and result.get("stopped")
    return (Job.State.STOPPED if stopped else Job.State.DONE), result, ""


def persistent(act: Callable[[], Value]) -> Value:
    """Do something with the database, waiting for it as long as a job may be silent if it is away."""
    until = time.monotonic() + 10 * settings.FERRY_LEASE
    wait = 0.1
    while True:
        try:
            return act()
        except (OperationalError, InterfaceError):
            if time.monotonic() > until:
                raise
            log.warning("the database is away; trying again in %.1f s", wait)
            connection.close()
            time.sleep(wait)
            wait = min(2 * wait, 10.0)
