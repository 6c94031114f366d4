"""What people see of jobs: where each stands, in words, and when a new one would begin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from statistics import median
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from workers import history, jobs, kinds
from workers.errors import BadInput
from workers.models import Job, Worker

State = Job.State
RECENT = 20  # ended jobs of a kind that an estimate rests on
#: points of a curve that a page draws or an answer carries
MOST_POINTS = 1000
WORDS = {
    State.QUEUED: "Waiting for a worker.",
    State.RUNNING: "Under way.",
    State.STOPPING: "Stopping at the next step.",
    State.DONE: "Done.",
    State.STOPPED: "Stopped. What was finished is kept; it can be taken up again.",
    State.LOST: "The worker went silent.",
    State.FAILED: "It failed.",
}


def brief(job: Job) -> dict[str, Any]:
    """A job as JSON: id, kind, state, done, total, message, problem, library, upload.

    ``problem`` (message, field, remedy) is there where the job failed over what it was given.
    """
    said = job.error or (job.log_tail.splitlines() or [""])[-1] if job.state != State.DONE else ""
    return {
        "id": str(job.pk),
        "kind": job.kind,
        "state": str(job.state),
        "done": int(job.progress.get("done", 0)),
        "total": job.progress.get("total"),
        "message": said or WORDS[State(job.state)],
        "problem": job.result.get("problem") if job.state == State.FAILED else None,
        "library": job.parameters.get("library"),
        "upload": job.parameters.get("upload"),
    }


def line(job: Job) -> dict[str, Any]:
    """A job as one line of a list: what :func:`brief` says, and who, when, how fast, how long still."""
    progress = job.progress
    return {
        **brief(job),
        "name": job.name,
        "title": _title(job.kind),
        "queue": job.queue,
        "owner": job.owner.get_username() if job.owner is not None else None,
        "standing": standing(job),
        "created": job.created,
        "started": job.started,
        "finished": job.finished,
        "seconds": _seconds(job),
        "rate": progress.get("rate") if job.state in Job.HELD else None,
        "seconds_left": progress.get("seconds_left") if job.state in Job.HELD else None,
        "epoch": progress.get("metrics", {}).get("epoch"),
        "metrics": progress.get("metrics", {}),
        "may": actions(job),
    }


def full(job: Job) -> dict[str, Any]:
    """Everything about a job that a page shows, curves apart."""
    return {
        **line(job),
        "parameters": job.parameters,
        "attempts": job.attempts,
        "worker": job.worker,
        "heartbeat": job.heartbeat,
        "resources": job.progress.get("resources", {}),
        "log": job.log_tail,
        "error": job.error,
        "ended_by": job.ended_by,
        "result": job.result,
        "parent": str(job.parent_id) if job.parent_id else None,
        "place": place(job),
        "not_before": job.not_before,
        "versions": [{"id": row.pk, "name": str(row)} for row in job.models.all()],
    }


def standing(job: Job) -> str:
    """One word or two: queued, starting, running, stopping, lost contact, done, failed, stopped, lost."""
    if job.silent:
        return "lost contact"
    if job.state == State.RUNNING and not job.progress.get("done"):
        return "starting"
    return str(job.state)


def actions(job: Job) -> list[str]:
    """What may be done with it now: stop, resume, clone, delete."""
    out = ["stop"] if job.state in (State.QUEUED, State.RUNNING) else []
    out += ["resume"] if job.state in Job.RESUMABLE else []
    kind = kinds.KINDS.get(job.kind)
    out += ["clone"] if kind is not None and not kind.internal else []
    return out + (["delete"] if job.state not in Job.OPEN else [])


def place(job: Job) -> int | None:
    """How many jobs of its queue come before a waiting one; None where it does not wait."""
    if job.state != State.QUEUED:
        return None
    return Job.objects.filter(queue=job.queue, state=State.QUEUED, created__lt=job.created).count()


def visible(user: Any, *, all_kinds: bool = True) -> QuerySet[Job]:
    """The jobs that ``user`` may see, the latest first."""
    rows = Job.objects.select_related("owner")
    if not jobs.may_see_all(user):
        rows = rows.filter(owner=user)
    return (
        rows if all_kinds else rows.filter(kind__in=[k.name for k in kinds.KINDS.values() if not k.internal])
    )


def listing(
    user: Any,
    *,
    state: str = "",
    kind: str = "",
    mine: bool = False,
    text: str = "",
    offset: int = 0,
    k: int = 50,
) -> dict[str, Any]:
    """A page of the jobs that ``user`` may see: ``{"jobs", "total", "offset", "k"}``. Raises BadInput."""
    if state and state not in (*State.values, "open"):
        raise BadInput(
            f"There is no state '{state[:40]}'.", "state", f"Choose open, {', '.join(State.values)}."
        )
    rows = visible(user)
    rows = rows.filter(state__in=Job.OPEN if state == "open" else (state,)) if state else rows
    rows = rows.filter(kind=kind) if kind else rows
    rows = rows.filter(owner=user) if mine else rows
    rows = rows.filter(name__icontains=text) if text else rows
    found = rows[offset : offset + k]
    return {"jobs": [line(job) for job in found], "total": rows.count(), "offset": offset, "k": k}


def outlook(kind: str) -> dict[str, Any]:
    """What a new job of ``kind`` would meet: its queue, how many wait and run there, workers, seconds to begin and run.

    The two estimates are medians of the last jobs of each kind, None where there has been none.
    """
    found = kinds.find(kind)
    waiting = Job.objects.filter(queue=found.queue, state=State.QUEUED)
    running = Job.objects.filter(queue=found.queue, state__in=Job.HELD)
    usual: dict[str, float | None] = {}

    def seconds(name: str) -> float | None:
        if name not in usual:
            usual[name] = usual_seconds(name)
        return usual[name]

    ahead: list[float | None] = [seconds(job.kind) for job in waiting]
    ahead += [job.progress.get("seconds_left") or seconds(job.kind) for job in running]
    hands = workers_on(found.queue)
    known = [value for value in ahead if value is not None]
    begins = None if len(known) < len(ahead) or not hands else sum(known) / hands
    return {
        "queue": found.queue,
        "waiting": waiting.count(),
        "running": running.count(),
        "workers": hands,
        "begins_in": begins,
        "takes": seconds(kind),
    }


def usual_seconds(kind: str) -> float | None:
    """How long jobs of ``kind`` usually take: the median of the latest that ended well."""
    rows = Job.objects.filter(kind=kind, state=State.DONE, started__isnull=False).order_by("-finished")[
        :RECENT
    ]
    took = [(row.finished - row.started).total_seconds() for row in rows if row.finished and row.started]
    return median(took) if took else None


def workers_on(queue: str) -> int:
    """Workers that listen to ``queue`` and have lately given a sign of life."""
    lately = timezone.now() - timedelta(seconds=3 * settings.FERRY_SWEEP)
    return sum(queue in worker.queues for worker in Worker.objects.filter(seen__gte=lately))


def curves(job: Job, most: int = MOST_POINTS) -> dict[str, Any]:
    """What a job measured: ``{"metrics": names, "points": […]}``, at most ``most`` points, the last among them."""
    found = history.points(job.pk)
    return {"metrics": history.metrics(found), "points": thinned(found, most), "measured": len(found)}


def thinned(found: Sequence[Mapping[str, Any]], most: int) -> list[Mapping[str, Any]]:
    """Evenly at most ``most`` of ``found``, first and last among them."""
    if len(found) <= most:
        return list(found)
    return [found[round(number * (len(found) - 1) / (most - 1))] for number in range(most)]


def _seconds(job: Job) -> float | None:
    if job.started is None:
        return None
    return ((job.finished or timezone.now()) - job.started).total_seconds()


def _title(kind: str) -> str:
    found = kinds.KINDS.get(kind)
    return found.title if found is not None else kind
