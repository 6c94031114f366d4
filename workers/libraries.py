"""What people do with libraries: see them, bring one, watch it being made, take it away."""

from __future__ import annotations

import json
import secrets
import shutil
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils.text import slugify

from workers import inference, jobs, uploads
from workers.errors import BadInput, NotFound
from workers.models import Job, Library

LONGEST_NAME = 120


def list_libraries(user: Any) -> list[dict[str, Any]]:
    """The libraries that ``user`` may read, built-in ones first: id, name, size, fingerprint, status, mine."""
    return [*builtin(), *(_describe(row, user) for row in Library.objects.visible_to(user))]


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


def check_upload(file: uploads.Incoming, user: Any) -> tuple[dict[str, Any], str]:
    """Store a file and read all of it without importing: the report and the token to import it with.

    Raises PermissionDenied without the right to make libraries, BadInput when the file as a whole cannot be read.
    """
    _check_right(user)
    upload = uploads.store(file, user)
    try:
        report = inference.check_import(str(upload.path))
    except BaseException as error:
        uploads.discard(upload.token)
        if isinstance(error, BadInput):  # in the person's words: their file's name, the form's field
            message = error.message.replace(upload.path.name, f"“{upload.name[:80]}”")
            raise BadInput(message, "file", error.remedy) from error
        raise
    return report, upload.token


def start_import(token: str, name: str, user: Any) -> dict[str, Any]:
    """Begin to make a library of a checked file; the job as JSON.

    Raises PermissionDenied, NotFound for an upload that is gone, BadInput for a bad name, Busy for too many jobs.
    """
    _check_right(user)
    upload = uploads.find(token, user)
    name = " ".join(name.split())
    if not name or len(name) > LONGEST_NAME:
        raise BadInput(f"A library needs a name of 1 to {LONGEST_NAME} characters.", "name", "Give it one.")
    with transaction.atomic():
        earlier = Job.objects.filter(kind="library", parameters__upload=upload.token).first()
        if earlier is not None:  # the button was pressed twice
            return jobs.describe(earlier)
        library = Library(id=_free_id(name), name=name, owner=user)
        parameters = {"library": library.id, "upload": upload.token, "name": name}
        library.job = jobs.submit("library", parameters, owner=user)
        library.save(force_insert=True)
    return jobs.describe(library.job)


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
        jobs.stop(library.job)
    remove(library)


def remove(library: Library) -> None:
    """Delete the row, then the files: a reader that still holds them keeps its memory maps."""
    folder, upload = library.folder, (library.job.parameters.get("upload", "") if library.job else "")
    library.delete()
    for place in (folder, folder.with_name(f"{folder.name}.building")):
        shutil.rmtree(place, ignore_errors=True)
    uploads.discard(upload)


def job_status(pk: str, user: Any) -> dict[str, Any]:
    """A job of one's own as JSON. Raises NotFound."""
    return jobs.describe(jobs.get(pk, user))


def stop_job(pk: str, user: Any) -> dict[str, Any]:
    """Ask a job of one's own to stop; how it stands after that. Raises NotFound."""
    return jobs.describe(jobs.stop(jobs.get(pk, user)))


def retry_job(pk: str, user: Any) -> dict[str, Any]:
    """Queue an ended job of one's own again; how it stands after that. Raises NotFound."""
    return jobs.describe(jobs.retry(jobs.get(pk, user)))


def _describe(row: Library, user: Any) -> dict[str, Any]:
    stale = row.state == Library.State.READY and row.id in inference.stale()
    return {
        "id": row.id,
        "name": row.name,
        "size": row.size,
        "fingerprint": row.fingerprint,
        "status": "stale" if stale else str(row.state),
        "mine": row.owner_id is not None and row.owner_id == user.pk,
    }


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
