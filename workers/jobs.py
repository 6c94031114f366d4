"""What can happen to a job. Every change is one conditional update, so that doubles and latecomers change nothing.

=========  =====================================================  ==================
call       from                                                   to
=========  =====================================================  ==================
submit     -                                                      queued
claim      queued; running/stopping with the lease run out        running
stop       queued → stopped; running → stopping
finish     running/stopping, with the claim's token               done/failed/stopped
sweep      running with the lease run out                         queued, or lost
           stopping with the lease run out                        stopped
retry      failed/stopped/lost                                    queued
=========  =====================================================  ==================
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from workers import events, kinds
from workers.errors import Busy, NotFound
from workers.models import Job

log = logging.getLogger(__name__)

MOST_ATTEMPTS = 5
State = Job.State


@dataclass(frozen=True)
class Claim:
    """The right to work on a job until the lease runs out; ``token`` fences off earlier holders."""

    job: UUID
    token: int

    def rows(self) -> Any:
        """The job's row, if this claim still holds it."""
        return Job.objects.filter(pk=self.job, token=self.token, state__in=Job.HELD)


class LeaseLost(Exception):
    """Somebody else holds the job now: end without writing anything."""


def submit(kind: str, parameters: Mapping[str, Any], owner: Any = None) -> Job:
    """Store a job and ring for it once the transaction is through.

    Raises BadInput for an unknown kind or parameter, Busy when the owner has as many open jobs as one may have.
    """
    found = kinds.find(kind)
    values = kinds.plain(found.read(parameters))
    if owner is not None:
        waiting = Job.objects.filter(owner=owner, state__in=Job.OPEN).count()
        if waiting >= settings.FERRY_JOBS_PER_USER:
            raise Busy(
                f"You have {waiting} jobs waiting or running, the most there may be. Wait for one, or stop one."
            )
    job = Job.objects.create(kind=kind, queue=found.queue, parameters=values, owner=owner)
    transaction.on_commit(lambda: ring(job))
    return job


def ring(job: Job) -> None:
    """Tell the workers that ``job`` waits. A broker that is down is only logged: the sweeper rings again."""
    from workers.tasks.bells import run_job

    Job.objects.filter(pk=job.pk).update(rung=timezone.now())
    try:
        run_job.apply_async(args=[str(job.pk)], queue=job.queue, retry=False)
    except Exception as error:  # noqa: BLE001  whatever the broker's client raises
        log.warning("could not ring for %s: %s; the sweeper will", job, error)


def claim(pk: UUID | str, worker: str) -> Claim | None:
    """Take a waiting job, or one whose holder went silent; None when there is nothing to take."""
    now = timezone.now()
    free = Q(state=State.QUEUED) | Q(state__in=Job.HELD, lease_until__lt=now)
    with transaction.atomic():
        taken = Job.objects.filter(free, pk=pk).update(
            state=State.RUNNING,
            worker=worker[:120],
            token=F("token") + 1,
            attempts=F("attempts") + 1,
            lease_until=now + timedelta(seconds=settings.FERRY_LEASE),
            heartbeat=now,
            started=now,
            finished=None,
            error="",
        )
        if not taken:
            return None
        token = Job.objects.values_list("token", flat=True).get(pk=pk)
    _tell(pk, State.RUNNING)
    return Claim(UUID(str(pk)), token)


def beat(held: Claim) -> str:
    """Renew the lease; the job's state. Raises LeaseLost when somebody else holds it."""
    now = timezone.now()
    kept = held.rows().update(heartbeat=now, lease_until=now + timedelta(seconds=settings.FERRY_LEASE))
    if not kept:
        raise LeaseLost
    return Job.objects.values_list("state", flat=True).get(pk=held.job)


def note(held: Claim, progress: Mapping[str, Any], log_tail: str) -> None:
    """Store how far the work is. Raises LeaseLost when somebody else holds the job."""
    if not held.rows().update(progress=dict(progress), log_tail=log_tail):
        raise LeaseLost
    events.publish(f"job/{held.job}", {"state": "running", **progress})


def finish(held: Claim, state: str, *, result: Mapping[str, Any] | None = None, error: str = "") -> bool:
    """End a job; False when the claim no longer holds it, and then nothing is changed."""
    ended = held.rows().update(
        state=state,
        result=dict(result or {}),
        error=error,
        finished=timezone.now(),
        lease_until=None,
        worker="",
    )
    if ended:
        _tell(held.job, state, error=error)
    return bool(ended)


def stop(job: Job) -> Job:
    """Ask a job to stop: one that waits is stopped at once, one that runs at its next step. Ended ones stay."""
    waiting = Job.objects.filter(pk=job.pk, state=State.QUEUED)
    if waiting.update(state=State.STOPPED, finished=timezone.now()):
        _tell(job.pk, State.STOPPED)
    elif Job.objects.filter(pk=job.pk, state=State.RUNNING).update(state=State.STOPPING):
        _tell(job.pk, State.STOPPING)
    job.refresh_from_db()
    return job


def retry(job: Job) -> Job:
    """Queue an ended job again; what it has finished already is not done twice."""
    again = Job.objects.filter(pk=job.pk, state__in=(State.FAILED, State.STOPPED, State.LOST))
    if again.update(state=State.QUEUED, attempts=0, error="", finished=None, lease_until=None):
        _tell(job.pk, State.QUEUED)
        job.refresh_from_db()
        transaction.on_commit(lambda: ring(job))
    return job


def sweep() -> int:
    """Put jobs of silent workers back into the queue and ring for every waiting one whose bell went unheard.

    Returns how many bells were rung. Safe to run anywhere, any number of times at once.
    """
    now = timezone.now()
    silent = Job.objects.filter(lease_until__lt=now)
    ended = {"finished": now, "lease_until": None, "worker": ""}
    silent.filter(state=State.STOPPING).update(state=State.STOPPED, **ended)
    silent.filter(state=State.RUNNING, attempts__gte=MOST_ATTEMPTS).update(
        state=State.LOST,
        error=f"The worker went silent {MOST_ATTEMPTS} times, most likely for want of memory. Nothing half-made is in "
        "use; retry it on a larger machine or with less data.",
        **ended,
    )
    silent.filter(state=State.RUNNING).update(state=State.QUEUED, rung=None, lease_until=None, worker="")
    unheard = Q(rung__isnull=True) | Q(rung__lt=now - timedelta(seconds=settings.FERRY_LEASE))
    rung = 0
    for job in Job.objects.filter(unheard, state=State.QUEUED, created__lt=now - timedelta(seconds=1)):
        ring(job)
        rung += 1
    return rung


def get(pk: str, user: Any) -> Job:
    """A job that ``user`` may see. Raises NotFound (the same for somebody else's and for none)."""
    try:
        job = Job.objects.get(pk=UUID(str(pk)))
    except (ValueError, Job.DoesNotExist):
        job = None
    if job is None or not (
        job.owner_id == user.pk or user.is_superuser or user.has_perm("workers.change_job")
    ):
        raise NotFound(f"There is no job '{str(pk)[:60]}' of yours.")
    return job


def describe(job: Job) -> dict[str, Any]:
    """A job as JSON: id, kind, state, done, total, message, problem, library, upload.

    ``problem`` (message, field, remedy) is there where the job failed over what it was given.
    """
    words = {
        State.QUEUED: "Waiting for a worker.",
        State.RUNNING: "Under way.",
        State.STOPPING: "Stopping at the next step.",
        State.DONE: "Done.",
        State.STOPPED: "Stopped. What was finished is kept; it can be taken up again.",
        State.LOST: "The worker went silent.",
        State.FAILED: "It failed.",
    }
    message = job.error or (job.log_tail.splitlines() or [""])[-1] if job.state != State.DONE else ""
    return {
        "id": str(job.pk),
        "kind": job.kind,
        "state": str(job.state),
        "done": int(job.progress.get("done", 0)),
        "total": job.progress.get("total"),
        "message": message or words[State(job.state)],
        "problem": job.result.get("problem") if job.state == State.FAILED else None,
        "library": job.parameters.get("library"),
        "upload": job.parameters.get("upload"),
    }


def _tell(pk: UUID | str, state: str, **more: Any) -> None:
    events.publish(f"job/{pk}", {"state": str(state), **more})
