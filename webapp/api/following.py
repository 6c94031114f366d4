"""A job's news for programs: as server-sent events, or as JSON for those who ask again and again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from django.db import close_old_connections

from webapp.streaming import Event
from workers import board, events, jobs
from workers.errors import NotFound
from workers.models import Job

#: a silent worker brings no event: the row is looked at this often besides, in seconds
LOOK_EVERY = 3.0
#: a stream ends after so long and the reader opens another, so that a right that was taken away takes effect
LONGEST = 900.0


def follow(pk: str, user: Any, after: int) -> Iterator[Event | None]:
    """``job`` with the whole line, ``news`` for each event after number ``after``, ``end`` when nothing can follow.

    ``job`` comes first, and again whenever its standing changes without an event. Gives None where there is nothing
    new: whoever reads decides how long to wait.
    """
    until, looked, told = time.monotonic() + LONGEST, 0.0, ""
    while time.monotonic() < until:
        try:
            found = events.subscribe(f"job/{pk}", after)
            if not told or found or time.monotonic() - looked > LOOK_EVERY:
                looked = time.monotonic()
                job = jobs.get(pk, user)
                if board.standing(job) != told:
                    told = board.standing(job)
                    yield Event("job", line(job))
                for event in found:
                    after = event.seq
                    yield Event("news", event.data, event.seq)
                if job.state not in Job.OPEN:
                    yield Event("end", {"standing": told})
                    return
        except NotFound:
            yield Event("end", {"standing": "gone"})
            return
        finally:
            close_old_connections()
        yield None


def news(job: Job, after: int, wait: float) -> dict[str, Any]:
    """What has happened to ``job`` after number ``after``; waits up to ``wait`` seconds for something to happen.

    ``{"job", "events": [{"seq", "data"}], "after", "open"}``, the job as it stands at the end of the waiting.
    """
    found = events.subscribe(job.stream, after, wait=wait if job.state in Job.OPEN else 0.0)
    job.refresh_from_db()
    return {
        "job": board.line(job),
        "events": [{"seq": event.seq, "data": event.data} for event in found],
        "after": found[-1].seq if found else after,
        "open": job.state in Job.OPEN,
    }


def line(job: Job) -> dict[str, Any]:
    """A job's line with times as text, for an event."""
    return {
        name: value.isoformat() if hasattr(value, "isoformat") else value
        for name, value in board.line(job).items()
    }
