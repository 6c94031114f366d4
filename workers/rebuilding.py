"""Making anew what a promoted model has made stale, as jobs."""

from __future__ import annotations

from typing import Any

from workers import jobs, status
from workers.errors import BadInput
from workers.models import Job, Library

#: areas whose models something rests on
AREAS = ("retrieval",)


def stale(area: str = "") -> list[Library]:
    """The libraries that another model built than the one in use, those being rebuilt left out. Raises BadInput."""
    if area and area not in AREAS:
        raise BadInput(f"Nothing rests on models of '{area[:40]}'.", "area", f"Choose {', '.join(AREAS)}.")
    open_jobs = Job.objects.filter(kind="rebuild", state__in=Job.OPEN)
    under_way = set(open_jobs.values_list("parameters__library", flat=True))
    return [library for library in status.stale_libraries() if library.pk not in under_way]


def begin(area: str = "", by: Any = None) -> list[Job]:
    """Begin a job for each of them; the jobs. Called twice, the second time begins nothing. Raises BadInput.

    They belong to Ferry, not to whoever asks, so that the limit of jobs per account does not stop them; ``by`` is
    noted in the audit trail.
    """
    from workers import audit

    made = []
    for library in stale(area):
        job = jobs.submit("rebuild", {"library": library.pk}, name=library.name)
        audit.record(by, "rebuild", f"library/{library.pk}", {"job": str(job.pk)})
        made.append(job)
    return made
