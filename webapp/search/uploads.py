"""Files that people bring, as the library pages show them."""

from __future__ import annotations

from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.http import FileResponse

from webapp.search.problems import Problem
from webapp.search.shelves import shelf
from workers import inference, libraries, uploads

SHOWN = 200
UNDER_WAY = ("queued", "running", "stopping")
#: how long a page waits for the check of a small file, in seconds, before it shows how far a larger one is
PATIENCE = 1.0


def begin_check(file: UploadedFile | None, name: str, user: Any) -> dict[str, Any]:
    """Have an upload checked; the job as it stands after a moment.

    Raises:
        workers.inference.BadInput: no file was chosen, or it is already known that it cannot be read at all.
    """
    if file is None:
        raise inference.BadInput(
            "No file was chosen.", "file", "Choose a .smi, .sdf, .csv or .tsv file, gzipped or not."
        )
    proposed = " ".join(name.split()) or (file.name or "My library").split(".")[0].replace("_", " ")
    job = libraries.check_upload(file, user, proposed[:120])
    job = libraries.wait_for_job(job["id"], user, PATIENCE)
    if job["problem"]:
        raise inference.BadInput(**job["problem"])
    return job


def watched(job: dict[str, Any], user: Any) -> dict[str, Any]:
    """What the page of a job shows: the job and, for a check that has ended, its report or what is wrong.

    Raises:
        workers.inference.NotFound: the checked file is no longer here.
    """
    shown = {"job": {**job, "running": job["state"] in UNDER_WAY, "check": job["kind"] == "check"}}
    if job["problem"]:
        shown["problem"] = problem_of(inference.BadInput(**job["problem"]))
    if job["kind"] == "check" and job["state"] == "done":
        found = libraries.checked(job["id"], user)
        report = found["report"]
        shown |= {
            "report": report,
            "token": found["token"],
            "name": found["name"],
            "file_name": found["file"],
            "refusals": report["refusals"][:SHOWN],
            "more_refused": max(report["refused"] - SHOWN, 0),
        }
    return shown


def problem_of(error: inference.BadInput) -> Problem:
    """The words for a file that cannot be used."""
    return Problem("That file cannot be used", error.message, error.remedy or "", error.field or "")


def mine(library: str, user: Any) -> dict[str, Any]:
    """A library of the user's own.

    Raises:
        workers.inference.NotFound: there is none of that name, or it belongs to somebody else.
    """
    for entry in shelf(user):
        if entry["id"] == library and entry["mine"]:
            return entry
    raise inference.NotFound(f"There is no library “{library[:60]}” of yours.")


def refused_file(token: str, user: Any) -> FileResponse:
    """The refused records of a checked file, in its own format, as a download.

    Raises:
        workers.inference.NotFound: the upload is gone, is somebody else's, or had nothing refused.
    """
    upload = uploads.find(token, user)
    path = upload.refused_path
    if not path.exists():
        raise inference.NotFound("There is no file of refused records for this upload.")
    name = f"{upload.name.split('.')[0]}-refused{path.suffix}"
    return FileResponse(path.open("rb"), as_attachment=True, filename=name)
