"""Files that people bring, as the library pages show them."""

from __future__ import annotations

from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.http import FileResponse

from webapp.search.shelves import shelf
from workers import inference, libraries, uploads

SHOWN = 200
UNDER_WAY = ("queued", "running", "stopping")


def checked(file: UploadedFile | None, name: str, user: Any) -> dict[str, Any]:
    """The dry run of an upload: its report, the token to import it with, and a name for the library.

    Raises:
        workers.inference.BadInput: no file was chosen, or it cannot be read at all.
    """
    if file is None:
        raise inference.BadInput(
            "No file was chosen.", "file", "Choose a .smi, .sdf, .csv or .tsv file, gzipped or not."
        )
    report, token = libraries.check_upload(file, user)
    proposed = " ".join(name.split()) or (file.name or "My library").split(".")[0].replace("_", " ")
    refusals = report["refusals"]
    return {
        "report": report,
        "token": token,
        "name": proposed[:120],
        "file_name": file.name,
        "refusals": refusals[:SHOWN],
        "more_refused": max(report["refused"] - SHOWN, 0),
    }


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
    for path in sorted(upload.folder.glob("refused*")):
        name = f"{upload.name.split('.')[0]}-refused{''.join(path.suffixes)}"
        return FileResponse(path.open("rb"), as_attachment=True, filename=name)
    raise inference.NotFound("There is no file of refused records for this upload.")
