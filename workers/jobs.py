"""What can happen to a job. Every change is one conditional update, so that doubles and latecomers change nothing.

=========  =====================================================  ==================
call       from                                                   to
=========  =====================================================  ==================
submit     -                                                      queued
claim      queued; running with the lease run out                 running
stop       queued → stopped; running → stopping
finish     running/stopping, with the claim's token               done/failed/stopped
put_back   running, with the claim's token, after a passing fault queued
sweep      running with the lease run out                         queued, or lost
           stopping with the lease run out                        stopped
resume     failed/stopped/lost                                    queued
=========  =====================================================  ==================
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from workers import audit, events, kinds
from workers.errors import BadInput, NotFound, TooMany
from workers.models import Job

log = logging.getLogger(__name__)

MOST_ATTEMPTS = 5
WATCHDOG = "the watchdog"
LONGEST_KEY = 80
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


def submit(
    kind: str,
    parameters: Mapping[str, Any],
    owner: Any = None,
    *,
    name: str = "",
    key: str = "",
    parent: Job | None = None,
) -> Job:
    """Store a job and ring for it once the transaction is through.

    ``key`` is the sender's own: a second submission with it gives the job of the first. Raises BadInput for an unknown
    kind or parameter, TooMany when the owner has as many open jobs as one may have.
    """
    found = kinds.find(kind)
    values = kinds.plain(found.read(parameters))
    if key and len(key) > LONGEST_KEY:
        raise BadInput(f"A key has at most {LONGEST_KEY} characters.", "key", "A UUID will do.")
    if key and (earlier := Job.objects.filter(owner=owner, key=key).first()) is not None:
        return _same(earlier, kind, values)
    if owner is not None:
        waiting = Job.objects.filter(owner=owner, state__in=Job.OPEN).count()
        if waiting >= settings.FERRY_JOBS_PER_USER:
            raise TooMany(
                f"You have {waiting} jobs waiting or running, the most there may be. Wait for one, or stop one."
            )
    facts = {"kind": kind, "queue": found.queue, "parameters": values, "owner": owner, "name": name[:120]}
    try:
        with transaction.atomic():
            job = Job.objects.create(**facts, key=key, parent=parent)
    except IntegrityError:  # the same key at the same moment
        return _same(Job.objects.get(owner=owner, key=key), kind, values)
    if not found.internal:
        audit.record(owner, "start", f"job/{job.pk}", {"kind": kind})
    transaction.on_commit(lambda: ring(job))
    return job


def _same(earlier: Job, kind: str, values: Mapping[str, Any]) -> Job:
    if earlier.kind != kind or earlier.parameters != values:
        raise BadInput(
            "This key was used for another job.", "key", "Send a new key, or none, to start a new job."
        )
    return earlier


def clone(job: Job, changes: Mapping[str, Any], owner: Any, *, name: str = "") -> Job:
    """A new job like ``job`` with some parameters changed. Raises what :func:`submit` raises."""
    return submit(job.kind, {**job.parameters, **changes}, owner, name=name or job.name, parent=job)


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
    due = Q(not_before__isnull=True) | Q(not_before__lte=now)
    free = (Q(state=State.QUEUED) & due) | Q(state=State.RUNNING, lease_until__lt=now)
    with transaction.atomic():
        taken = Job.objects.filter(free, pk=pk).update(
            state=State.RUNNING,
            worker=worker[:120],
            token=F("token") + 1,
            attempts=F("attempts") + 1,
            lease_until=now + timedelta(seconds=settings.FERRY_LEASE),
            heartbeat=now,
            started=Coalesce("started", now),
            not_before=None,
            finished=None,
            error="",
            ended_by="",
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


def note(held: Claim, progress: Mapping[str, Any], log_tail: str, *, advanced: bool = False) -> str:
    """Store how far the work is; the job's state. Raises LeaseLost when somebody else holds the job.

    ``advanced`` says that it has come further than any attempt before: then the count of attempts begins again, so
    that only work that fails at the same place over and over is given up.
    """
    first = {"attempts": 1} if advanced else {}
    if not held.rows().update(progress=dict(progress), log_tail=log_tail, **first):
        raise LeaseLost
    state = Job.objects.values_list("state", flat=True).get(pk=held.job)
    _tell(held.job, state, **progress)
    return state


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
        _ended(held.job, state, error)
    return bool(ended)


def put_back(held: Claim, error: str, wait: float) -> bool:
    """Queue a job again after a fault that passes, to be tried in ``wait`` seconds; False when it is not held."""
    back = held.rows().filter(state=State.RUNNING)
    put = back.update(
        state=State.QUEUED,
        error=error,
        not_before=timezone.now() + timedelta(seconds=wait),
        rung=None,
        lease_until=None,
        worker="",
    )
    if put:
        _tell(held.job, State.QUEUED, error=error)
    return bool(put)


def stop(job: Job, by: str = "") -> Job:
    """Ask a job to stop: one that waits is stopped at once, one that runs at its next step. Ended ones stay."""
    waiting = Job.objects.filter(pk=job.pk, state=State.QUEUED)
    if waiting.update(state=State.STOPPED, finished=timezone.now(), ended_by=by):
        _ended(job.pk, State.STOPPED)
    elif Job.objects.filter(pk=job.pk, state=State.RUNNING).update(state=State.STOPPING, ended_by=by):
        _tell(job.pk, State.STOPPING)
    job.refresh_from_db()
    return job


def resume(job: Job) -> Job:
    """Queue an ended job again; it goes on from its last checkpoint, and what it has finished is not done twice."""
    again = Job.objects.filter(pk=job.pk, state__in=Job.RESUMABLE)
    if again.update(
        state=State.QUEUED,
        attempts=0,
        error="",
        ended_by="",
        finished=None,
        lease_until=None,
        not_before=None,
    ):
        _tell(job.pk, State.QUEUED)
        job.refresh_from_db()
        transaction.on_commit(lambda: ring(job))
    return job


def sweep() -> int:
    """Put jobs of silent workers back into the queue and ring for every waiting one whose bell went unheard.

    Returns how many bells were rung. Safe to run anywhere, any number of times at once.
    """
    now = timezone.now()
    _end_silent(now)
    again = {"rung": None, "lease_until": None, "worker": ""}
    silent = Job.objects.filter(state=State.RUNNING, lease_until__lt=now)
    for pk in list(silent.values_list("pk", flat=True)):
        if silent.filter(pk=pk).update(state=State.QUEUED, **again):
            _tell(pk, State.QUEUED)
    unheard = Q(rung__isnull=True) | Q(rung__lt=now - timedelta(seconds=settings.FERRY_LEASE))
    due = Q(not_before__isnull=True) | Q(not_before__lte=now)
    waiting = Job.objects.filter(unheard, due, state=State.QUEUED, created__lt=now - timedelta(seconds=1))
    rung = 0
    for job in waiting:
        ring(job)
        rung += 1
    return rung


def release_dead() -> int:
    """Let the leases of workers that ran on this machine, and whose process is gone, run out now; how many.

    A worker that is only out of sight (another container of the same host name) loses one attempt by it, nothing else:
    its token is fenced off.
    """
    here = f"{socket.gethostname()}:"
    held = Job.objects.filter(state__in=Job.HELD, worker__startswith=here, lease_until__gt=timezone.now())
    dead = [job for job in held.only("worker", "token") if not _alive(job.worker.removeprefix(here))]
    now = timezone.now()
    return sum(Job.objects.filter(pk=job.pk, token=job.token).update(lease_until=now) for job in dead)


def _alive(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except (ValueError, PermissionError):
        return True
    return True


def _end_silent(now: Any) -> None:
    """Stop what was to stop, and give up what has gone silent too often."""
    ended = {"finished": now, "lease_until": None, "worker": ""}
    silent = Job.objects.filter(lease_until__lt=now)
    stopping = silent.filter(state=State.STOPPING)
    for pk in list(stopping.values_list("pk", flat=True)):
        if stopping.filter(pk=pk).update(state=State.STOPPED, **ended):
            _ended(pk, State.STOPPED)
    error = (
        f"The worker went silent {MOST_ATTEMPTS} times, most likely for want of memory. Nothing half-made is in use; "
        "retry it on a larger machine or with less data."
    )
    hopeless = silent.filter(state=State.RUNNING, attempts__gte=MOST_ATTEMPTS)
    for pk in list(hopeless.values_list("pk", flat=True)):
        if hopeless.filter(pk=pk).update(state=State.LOST, error=error, ended_by=WATCHDOG, **ended):
            _ended(pk, State.LOST, error)


def get(pk: str, user: Any) -> Job:
    """A job that ``user`` may see. Raises NotFound (the same for somebody else's and for none)."""
    try:
        job = Job.objects.select_related("owner").get(pk=UUID(str(pk)))
    except (ValueError, Job.DoesNotExist):
        job = None
    if job is None or not (job.owner_id == user.pk or may_see_all(user)):
        raise NotFound(f"There is no job '{str(pk)[:60]}' of yours.")
    return job


def may_see_all(user: Any) -> bool:
    """Whether ``user`` sees the jobs of others: trainers and administrators do."""
    return bool(user.is_superuser or user.has_perm("workers.change_job"))


def _ended(pk: UUID | str, state: str, error: str = "") -> None:
    from workers import notices

    _tell(pk, state, error=error)
    notices.job_ended(str(pk), str(state))


def _tell(pk: UUID | str, state: str, **more: Any) -> None:
    """Publish to the job's stream. Streams that are away lose news, never a job: the row is the truth."""
    try:
        events.publish(f"job/{pk}", {"state": str(state), **more})
    except Exception as error:  # noqa: BLE001  whatever the stream's client raises
        log.warning("could not tell of job %s: %s", pk, error)
