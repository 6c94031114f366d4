"""What people do with libraries: see them, have a file checked, bring one, watch it being made, take it away."""

from __future__ import annotations

import json
import logging
import secrets
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils.text import slugify

from workers import board, events, inference, jobs, leftovers, uploads
from workers.errors import BadInput, Busy, NotFound
from workers.models import Job, Library

log = logging.getLogger(__name__)

LONGEST_NAME = 120


def list_libraries(user: Any) -> list[dict[str, Any]]:
    """The libraries that ``user`` may read, built-in ones first: id, name, size, fingerprint, status, mine."""
    rows = Library.objects.visible_to(user).select_related("job")
    return [*builtin(), *(_describe(row, user) for row in rows)]


def builtin() -> list[dict[str, Any]]:
    """The libraries that come with the model in use."""
    out = []
    for folder in inference.builtin_folders():
        manifest = _manifest(folder / "manifest.json")
        if manifest is not None:
            out.append(
                {
                    "id": manifest["id"],
                    "name": manifest["name"],
                    "size": manifest["rows"],
                    "fingerprint": manifest["fingerprint"],
                    "status": "ready",
                    "mine": False,
                }
            )
    return out


def check_upload(file: uploads.Incoming, user: Any, name: str = "") -> dict[str, Any]:
    """Store a file and begin to read all of it without importing; the job as JSON, with the token in ``upload``.

    ``name`` is what the library is to be called, as far as that is known. Raises PermissionDenied without the right
    to make libraries, BadInput for a file that is not taken, Busy for too many jobs.
    """
    _check_right(user)
    upload = uploads.store(file, user)
    try:
        return board.brief(jobs.submit("check", {"upload": upload.token, "name": name}, owner=user))
    except BaseException:
        uploads.discard(upload.token)
        raise


def upload_status(token: str, user: Any) -> dict[str, Any]:
    """An upload of one's own: token, file (its name), job (of its check) and report, None until that is done.

    Raises NotFound when it is gone, or somebody else's.
    """
    upload = uploads.find(token, user)
    job = Job.objects.filter(kind="check", parameters__upload=token).first()
    return {
        "token": token,
        "file": upload.name,
        "job": board.brief(job) if job is not None else None,
        "report": uploads.read_report(upload),
    }


def checked(pk: str, user: Any) -> dict[str, Any]:
    """What a check of one's own has found: token, file (its name), name (for the library) and report.

    Raises NotFound when the upload is gone, or nothing has been found yet.
    """
    job = jobs.get(pk, user)
    upload = uploads.find(job.parameters.get("upload", ""))
    report = uploads.read_report(upload)
    if report is None:
        raise NotFound("This file has not been read to its end.")
    return {
        "token": upload.token,
        "file": upload.name,
        "name": job.parameters.get("name", ""),
        "report": report,
    }


def import_upload(file: uploads.Incoming, name: str, user: Any) -> dict[str, Any]:
    """Store a file and begin to make a library of it, unchecked; the job as JSON.

    Raises PermissionDenied, BadInput for a bad name or a file that is not taken, Busy for too many jobs.
    """
    _check_right(user)
    name = _good_name(name)
    upload = uploads.store(file, user)
    try:
        return start_import(upload.token, name, user)
    except BaseException:
        uploads.discard(upload.token)
        raise


def start_import(token: str, name: str, user: Any) -> dict[str, Any]:
    """Begin to make a library of a checked file; the job as JSON.

    Raises PermissionDenied, NotFound for an upload that is gone, BadInput for a bad name, Busy for too many jobs or
    while the file is still being checked.
    """
    _check_right(user)
    upload = uploads.find(token, user)
    name = _good_name(name)
    with transaction.atomic():
        known = Job.objects.filter(parameters__upload=upload.token)
        earlier = known.filter(kind="library").first()
        if earlier is not None:  # the button was pressed twice
            return board.brief(earlier)
        if known.filter(kind="check", state__in=Job.OPEN).exists():
            raise Busy("The file is still being checked. Wait for the check to end, or stop it.")
        library = Library(id=_free_id(name), name=name, owner=user)
        parameters = {"library": library.id, "upload": upload.token, "name": name}
        library.job = jobs.submit("library", parameters, owner=user)
        library.save(force_insert=True)
    return board.brief(library.job)


def delete_library(identifier: str, user: Any) -> None:
    """Delete a library of one's own with its files. Raises NotFound, or PermissionDenied for somebody else's."""
    library = Library.objects.visible_to(user).filter(pk=identifier).first()
    if library is None:
        if any(entry["id"] == identifier for entry in builtin()):
            raise PermissionDenied("This library comes with Ferry and cannot be deleted.")
        raise NotFound(f"There is no library '{identifier[:60]}' that you may read.")
    if library.owner_id != user.pk and not user.is_superuser:
        raise PermissionDenied("Only its owner can delete a library.")
    if library.job is not None:
        jobs.stop(library.job, by=user.get_username())
    remove(library)


def remove(library: Library) -> None:
    """Delete the row, then the files: a reader that still holds them keeps its memory maps."""
    folder, upload = library.folder, (library.job.parameters.get("upload", "") if library.job else "")
    library.delete()
    for place in (folder, folder.with_name(f"{folder.name}{leftovers.BUILDING}")):
        leftovers.discard(place)
    uploads.discard(upload)


def job_status(pk: str, user: Any) -> dict[str, Any]:
    """A job of one's own as JSON. Raises NotFound."""
    return board.brief(jobs.get(pk, user))


def wait_for_job(pk: str, user: Any, seconds: float) -> dict[str, Any]:
    """A job of one's own as JSON, as soon as it has ended and after ``seconds`` at the latest. Raises NotFound."""
    until, seen = time.monotonic() + seconds, 0
    while (job := jobs.get(pk, user)).state in Job.OPEN and (left := until - time.monotonic()) > 0:
        try:
            news = events.subscribe(job.stream, seen, wait=left)
        except Exception as error:  # noqa: BLE001  whatever the stream's client raises; the row is the truth
            log.warning("cannot listen for job %s: %s", pk, error)
            break
        seen = news[-1].seq if news else seen
    return board.brief(job)


def stop_job(pk: str, user: Any) -> dict[str, Any]:
    """Ask a job of one's own to stop; how it stands after that. Raises NotFound."""
    return board.brief(jobs.stop(jobs.get(pk, user), by=user.get_username()))


def retry_job(pk: str, user: Any) -> dict[str, Any]:
    """Queue an ended job of one's own again; how it stands after that. Raises NotFound."""
    return board.brief(jobs.resume(jobs.get(pk, user)))


def _describe(row: Library, user: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "size": row.size,
        "fingerprint": row.fingerprint,
        "status": _status(row),
        "mine": row.owner_id is not None and row.owner_id == user.pk,
    }


def _status(row: Library) -> str:
    """ready or stale; without a finished folder, what its job is about: importing, retrying, stopped or failed."""
    if row.state == Library.State.READY:
        return "stale" if row.id in inference.stale() else "ready"
    state = row.job.state if row.job is not None else None
    if state in Job.OPEN:
        return "retrying" if row.state == Library.State.FAILED else "importing"
    return "stopped" if state == Job.State.STOPPED else "failed"


def _good_name(name: str) -> str:
    name = " ".join(name.split())
    if not name or len(name) > LONGEST_NAME:
        raise BadInput(f"A library needs a name of 1 to {LONGEST_NAME} characters.", "name", "Give it one.")
    return name


def _check_right(user: Any) -> None:
    if not user.has_perm("workers.add_library"):
        raise PermissionDenied(
            "Your account may search but not add libraries. Ask an administrator for the role 'member'."
        )


def _free_id(name: str) -> str:
    stem = slugify(name)[:50].strip("-") or "library"
    taken = {entry["id"] for entry in builtin()}
    if stem not in taken and not Library.objects.filter(pk=stem).exists():
        return stem
    return f"{stem}-{secrets.token_hex(3)}"


def _manifest(path: Path) -> dict[str, Any] | None:
    try:
        changed = path.stat().st_mtime_ns
    except OSError:
        return None
    return _read_manifest(path, changed)


@lru_cache(maxsize=32)
def _read_manifest(path: Path, changed: int) -> dict[str, Any] | None:
    del changed  # part of the key: a rewritten manifest is read again
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
