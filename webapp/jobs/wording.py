"""Where a job stands, in a sentence: why it waits, who has it, what will happen, what to do."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.utils import timezone

from webapp.jobs.templatetags.work import duration
from workers import board
from workers.jobs import MOST_ATTEMPTS
from workers.models import Job

REMEDIES = {
    "lost": "Resume it on a machine with more memory, or clone it with less data.",
    "failed": "Resume it to try again from its last checkpoint, or clone it with other parameters.",
}
PLAIN = {
    "starting": "{holder} has taken it and prepares the work.",
    "running": "Under way on {holder}.",
    "done": "It has ended well.",
    "failed": "It has ended with an error. What was finished before is kept.",
    "lost": "Given up: its workers went silent again and again. Nothing half-made is in use.",
}


def sentence(job: Job) -> str:
    """What is to be known about its state."""
    standing = board.standing(job)
    told = {"queued": _waiting, "stopping": _stopping, "stopped": _stopped, "lost contact": _silent}.get(
        standing
    )
    said = told(job) if told is not None else PLAIN[standing].format(holder=_holder(job))
    return said[0].upper() + said[1:]


def remedy(job: Job) -> str:
    """What to do about an error: the work's own advice, or the usual."""
    problem = job.result.get("problem") or {}
    return str(problem.get("remedy") or REMEDIES.get(str(job.state), ""))


def _waiting(job: Job) -> str:
    before = board.place(job) or 0
    others = {0: "It is the next", 1: "One job comes before it"}.get(
        before, f"{before:,} jobs come before it"
    )
    place = f"{others} in the queue “{job.queue}”."
    if job.not_before and job.not_before > timezone.now():
        again = timezone.localtime(job.not_before).strftime("%H:%M:%S")
        return f"It met a fault that may pass ({job.error or 'no word of it'}) and is tried again at {again}."
    hands = board.workers_on(job.queue)
    if not hands:
        return f"{place} No worker listens to this queue: it begins as soon as one is started."
    listen = "One worker listens" if hands == 1 else f"{hands} workers listen"
    return f"{place} {listen} to it."


def _stopping(job: Job) -> str:
    by = f" by {job.ended_by}" if job.ended_by else ""
    return f"Asked to stop{by}: it ends at its next step, and saves before."


def _stopped(job: Job) -> str:
    by = f" by {job.ended_by}" if job.ended_by else ""
    kept = "What was finished is kept; it can be resumed there." if job.started else "It had not begun."
    return f"Stopped{by}. {kept}"


def _silent(job: Job) -> str:
    since = job.heartbeat or job.started
    when = ""
    if since is not None:
        ago = duration((timezone.now() - since).total_seconds())
        when = f" since {timezone.localtime(since).strftime('%H:%M:%S')} ({ago})"
    soon = duration(2 * settings.FERRY_SWEEP)
    if job.state == Job.State.STOPPING:
        then = f"It was to stop; within {soon} of a worker looking after the queue it counts as stopped."
    elif job.attempts >= MOST_ATTEMPTS:
        then = f"This was attempt {job.attempts} of {MOST_ATTEMPTS}: it is about to be given up."
    else:
        then = (
            f"It is queued again within {soon} of a worker looking after the queue, and goes on from its last "
            f"checkpoint (attempt {job.attempts} of {MOST_ATTEMPTS})."
        )
    return f"{_holder(job)} has given no sign of life{when}. {then}"


def _holder(job: Job) -> str:
    return f"the worker {job.worker}" if job.worker else "a worker"


def outlook(kind: str) -> dict[str, Any]:
    """What a new job of ``kind`` would meet, with the sentences that say so."""
    found = board.outlook(kind)
    waiting, running = found["waiting"], found["running"]
    queue = f"{waiting:,} waiting and {running:,} running in the queue “{found['queue']}”"
    hands = found["workers"]
    if not hands:
        begins = "No worker listens to it: the job would wait until one is started."
    elif found["begins_in"] is None:
        begins = "When it would begin cannot be said: a job ahead of it is the first of its kind."
    elif found["begins_in"] < 1:
        begins = "It would begin at once."
    else:
        begins = f"It would begin in about {duration(found['begins_in'])}."
    usual = "None has ended yet, so how long it takes is not known."
    if found["takes"] is not None:
        usual = f"Such jobs usually take {duration(found['takes'])} (median of the latest)."
    return {**found, "queue_words": queue, "begins": begins, "usual": usual}
