"""Jobs brought into a state by changes that the database allows, and jobs whose worker is killed at the very end."""

from __future__ import annotations

from collections import deque
from typing import Any

from django.utils import timezone

from workers import jobs, work
from workers.models import Job


def bring_to(job: Any, state: str, **facts: Any) -> None:
    """Let ``job`` (a row or its key) have come to ``state``, with these ``facts`` in its row."""
    rows = Job.objects.filter(pk=getattr(job, "pk", job))
    now = timezone.now()
    for step in _way(rows.get().state, state):
        rows.update(state=step, lease_until=now, finished=now)
    ended = {} if state in (*Job.HELD, "queued") else {"lease_until": None}
    rows.update(**{**ended, **facts})


def perform_and_be_killed(job: Job, monkeypatch: Any) -> None:
    """Do a job to its last step, and never get to say so; whoever sweeps finds it."""
    with monkeypatch.context() as patch:
        patch.setattr(jobs, "finish", lambda *args, **options: False)
        assert work.perform(str(job.pk)) is None
    Job.objects.filter(pk=job.pk, state="running").update(lease_until=timezone.now())


def _way(before: str, after: str) -> list[str]:
    """The states from ``before`` to ``after`` by the shortest legal way."""
    waiting = deque([[before]])
    while waiting:
        way = waiting.popleft()
        if way[-1] == after:
            return way[1:]
        waiting.extend([*way, str(step)] for step in Job.TRANSITIONS[Job.State(way[-1])] if step not in way)
    raise ValueError(f"no way from {before} to {after}")
