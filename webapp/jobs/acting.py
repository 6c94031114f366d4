"""What people do to jobs, one or many, each noted in the audit trail under their name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from workers import audit, board, disk, jobs, removal, work
from workers.inference import BadInput
from workers.models import Job


def stop(job: Job, user: Any) -> None:
    """Ask it to stop."""
    jobs.stop(job, by=user.get_username())
    audit.record(user, "stop", f"job/{job.pk}")


def resume(job: Job, user: Any) -> None:
    """Queue it again."""
    jobs.resume(job)
    audit.record(user, "resume", f"job/{job.pk}")


def delete(job: Job, user: Any) -> None:
    """Row, curves and files."""
    removal.delete_job(job, user)


@dataclass(frozen=True)
class Verb:
    """A button: what it does, its word, and what is said when it was done to so many."""

    act: Callable[[Job, Any], None]
    label: str
    done: str


VERBS = {
    "stop": Verb(stop, "Stop", "asked to stop; what runs ends at its next step, saved"),
    "resume": Verb(resume, "Resume", "queued again"),
    "delete": Verb(delete, "Delete…", "deleted with its files"),
}


def size(job: Job) -> int:
    """Bytes of its files."""
    return disk.size(work.folder_of(job))


def each(verb: str, chosen: Sequence[Job], user: Any) -> tuple[int, list[str]]:
    """Do ``verb`` to each; to how many it was done, and for the others why not."""
    done, refused = 0, []
    for job in chosen:
        if verb not in board.actions(job):
            refused.append(f"{named(job)} is {board.standing(job)}.")
            continue
        try:
            VERBS[verb].act(job, user)
        except BadInput as error:
            refused.append(f"{named(job)}: {error}")
        else:
            done += 1
    return done, refused


def named(job: Job) -> str:
    """What a job is called in a sentence."""
    return f"“{job.name}”" if job.name else f"{job.kind} {str(job.pk)[:8]}"
