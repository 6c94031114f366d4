"""What a caller may do with a job, and doing it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.exceptions import PermissionDenied

from webapp.jobs import acting
from workers import board, jobs, kinds
from workers.errors import BadInput, NotFound
from workers.models import Job


def full(job: Job, user: Any) -> dict[str, Any]:
    """Everything about ``job``, with what ``user`` may do with it."""
    return {**board.full(job), "may": may(job, user)}


def page(listing: dict[str, Any], user: Any) -> dict[str, Any]:
    """A listing of jobs in which ``may`` says what ``user`` may do with each."""
    rows = [{**row, "may": _allowed(row["may"], row["kind"], user)} for row in listing["jobs"]]
    return {**listing, "jobs": rows}


def may(job: Job, user: Any) -> list[str]:
    """What ``user``, who sees ``job``, may do with it now."""
    return _allowed(board.actions(job), job.kind, user)


def stop(job: Job, user: Any) -> None:
    """Ask it to stop; one that has ended, or is stopping, stays as it is."""
    if "stop" in board.actions(job):
        acting.stop(job, user)


def resume(job: Job, user: Any) -> None:
    """Queue it again; one that waits or runs stays as it is. Raises BadInput for one that is done."""
    if "resume" in board.actions(job):
        check(job, user, "resume")
        acting.resume(job, user)
    elif job.state not in Job.OPEN:
        raise BadInput(
            "The job is done, so there is nothing to take up again.", "job", "Clone it to run it once more."
        )


def clone(job: Job, user: Any, changes: dict[str, Any], name: str) -> Job:
    """A new job like it. Raises BadInput for a kind that other pages begin, or for changes that do not fit."""
    if "clone" not in board.actions(job):
        raise BadInput(
            f"A job of kind '{job.kind}' cannot be cloned.", "job", "Bring the file again at libraries/."
        )
    return jobs.clone(job, changes, user, name=name)


def delete(job: Job, user: Any) -> None:
    """Row, curves and files. Raises BadInput for an open one, or one whose folder is a version's home."""
    acting.delete(job, user)


def check(job: Job, user: Any, verb: str) -> None:
    """Raise PermissionDenied unless ``user`` may ``verb`` jobs of this kind at all."""
    if verb not in _allowed([verb], job.kind, user):
        raise PermissionDenied(f"Your role may not {verb} this job. Ask a trainer or an administrator.")


def each(verb: str, chosen: list[str], user: Any) -> list[dict[str, Any]]:
    """Do ``verb`` to each job; for each its id, whether it was done, and a sentence."""
    acts: dict[str, Callable[[Job, Any], None]] = {"stop": stop, "resume": resume, "delete": delete}
    out = []
    for pk in chosen:
        try:
            job = jobs.get(pk, user)
            fits = verb in board.actions(job)
            if fits:
                acts[verb](job, user)
        except (BadInput, NotFound) as error:
            out.append({"id": pk, "done": False, "message": str(error)})
        else:
            left = f"It is {board.standing(job)}, so it was left as it is."
            out.append({"id": pk, "done": fits, "message": acting.VERBS[verb].done if fits else left})
    return out


def _allowed(verbs: list[str], kind: str, user: Any) -> list[str]:
    """Those of ``verbs`` that the role of ``user`` includes; owners of an import may stop and repeat it."""
    found = kinds.KINDS.get(kind)
    own = {"stop"}
    if found is not None and found.internal and user.has_perm("workers.add_library"):
        own.add("resume")
    if user.has_perm("workers.change_job"):
        own |= {"stop", "resume", "delete"}
    if user.has_perm("workers.add_job"):
        own.add("clone")
    return [verb for verb in verbs if verb in own]
