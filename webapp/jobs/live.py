"""A job's page while it changes: the parts that do, as HTML, whenever there is news."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from django.db import close_old_connections
from django.template.loader import render_to_string

from webapp.jobs import acting, wording
from webapp.streaming import Event
from workers import board, events, history, jobs
from workers.inference import NotFound
from workers.models import Job

PARTS = ("standing", "numbers", "actions", "outcome", "log")
#: a silent worker and a shorter queue bring no event: the row is looked at this often besides, in seconds
LOOK_EVERY = 3.0
#: a stream ends after so long and the page opens another, so that a right that was taken away takes effect
LONGEST = 900.0


def shown(job: Job, user: Any) -> dict[str, Any]:
    """What the templates of a job's page need."""
    full = board.full(job)
    may = set(full["may"]) if user.has_perm("workers.change_job") else set()
    if not user.has_perm("workers.add_job"):
        may.discard("clone")
    return {
        "job": full,
        "row": job,
        "sentence": wording.sentence(job),
        "remedy": wording.remedy(job),
        "may": may,
        "verbs": {name: verb for name, verb in acting.VERBS.items() if name in may},
        "open": job.state in Job.OPEN,
        "metrics": {name: value for name, value in full["metrics"].items() if name != "epoch"},
        "may_see_models": user.has_perm("workers.view_modelversion"),
    }


def parts(job: Job, user: Any, token: str) -> dict[str, Any]:
    """The changing parts as HTML by name, whether there is more to come, and how far the curves go.

    ``token`` is what the forms among them are trusted by.
    """
    facts = shown(job, user) | {"csrf_token": token}
    return {
        "parts": {name: render_to_string(f"jobs/_part_{name}.html", facts) for name in PARTS},
        "standing": facts["job"]["standing"],
        "sentence": facts["sentence"],
        "open": facts["open"],
        "measured": f"{job.token}:{job.progress.get('done', 0)}:{history.seconds_worked(job.pk):.3f}",
    }


def follow(pk: str, user: Any, after: int, token: str) -> Iterator[Event | None]:
    """``state`` with the parts at once and at every news, numbered as in the job's stream; ``end`` when it has ended.

    Gives None where there is nothing new: whoever reads decides how long to wait.
    """
    until, looked, told = time.monotonic() + LONGEST, 0.0, ""
    while time.monotonic() < until:
        due = not told or time.monotonic() - looked > LOOK_EVERY
        try:
            before, (after, found) = after, _look(pk, user, after, token, due=due)
        except NotFound:
            yield Event("end", {"standing": "gone"})
            return
        if found is not None:
            looked = time.monotonic()
            said = f"{found['standing']} {found['sentence']}"
            if after != before or said != told:
                yield Event("state", found, after or None)
            told = said
            if not found["open"]:
                yield Event("end", {"standing": found["standing"]})
                return
        yield None


def _look(pk: str, user: Any, after: int, token: str, *, due: bool) -> tuple[int, dict[str, Any] | None]:
    """The number of the latest event, and the parts where there is a new one or ``due``. Leaves no connection open.

    It is no part of the generator: what a generator does at its end may be done anywhere, even in the middle of
    somebody else's transaction.
    """
    try:
        news = events.subscribe(f"job/{pk}", after)
        latest = news[-1].seq if news else after
        return latest, parts(jobs.get(pk, user), user, token) if news or due else None
    finally:
        close_old_connections()
