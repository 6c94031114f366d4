"""Files that people bring, kept under a token until they are imported or nobody can want them any more.

``FERRY_DATA/uploads/<token>/`` holds the file as ``source`` plus its endings, ``about.json`` and, once it has been
checked, ``report.json`` and the refused records as ``refused`` with the file's ending.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from django.conf import settings

from workers.errors import BadInput, Busy, NotFound

ENDINGS = (".smi", ".smiles", ".sdf", ".sd", ".mol", ".csv", ".tsv", ".txt")
SPARE_BYTES = 500_000_000
TOKEN = re.compile(r"[0-9a-f]{32}")


class Incoming(Protocol):
    """What Django's uploaded files offer."""

    name: str
    size: int

    def chunks(self) -> Iterable[bytes]:
        """The content in pieces."""


@dataclass(frozen=True)
class Upload:
    """One stored file: its token, where it lies, and what it was called."""

    token: str
    path: Path
    name: str

    @property
    def folder(self) -> Path:
        """The folder that goes when the upload goes."""
        return self.path.parent

    @property
    def refused_path(self) -> Path:
        """Where a check leaves the refused records, to be mended; unpacked, whatever the upload is."""
        return self.folder / f"refused{self.path.name.removesuffix('.gz').removeprefix('source')}"

    @property
    def report_path(self) -> Path:
        """Where a check leaves its report."""
        return self.folder / "report.json"


def store(file: Incoming, owner: Any) -> Upload:
    """Keep ``file`` for ``owner``.

    Raises BadInput for an unknown ending, an empty file or one over the limit, Busy when the disk is nearly full.
    """
    endings = _endings(file.name)
    if not file.size:
        raise BadInput(
            f"The file “{file.name[:80]}” is empty.", "file", "Choose a file with molecules in it."
        )
    if file.size > settings.FERRY_MAX_UPLOAD:
        raise BadInput(
            f"The file has {file.size / 1e6:,.0f} MB; this server takes {settings.FERRY_MAX_UPLOAD / 1e6:,.0f} MB.",
            "file",
            "Compress it with gzip or split it.",
        )
    if shutil.disk_usage(settings.FERRY_DATA).free < 4 * file.size + SPARE_BYTES:
        raise Busy("The server's disk is nearly full, so no file can be taken. Tell whoever runs it.")
    token = secrets.token_hex(16)
    folder = root() / token
    draft = root() / f".{token}"
    draft.mkdir(parents=True)
    try:
        with (draft / f"source{endings}").open("wb") as out:
            for chunk in file.chunks():
                out.write(chunk)
        about = {"name": Path(file.name).name[:200], "owner": owner.pk, "file": f"source{endings}"}
        (draft / "about.json").write_text(json.dumps(about), encoding="utf-8")
        draft.rename(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return find(token)


def find(token: str, owner: Any = None) -> Upload:
    """The upload with this token (of ``owner``, if given). Raises NotFound when there is none (any more)."""
    gone = NotFound(
        "This upload is no longer here: it has been imported, or was kept for its time. A file that was only checked "
        "is kept for a day, that of an import without success for a week. Send it again."
    )
    if not TOKEN.fullmatch(token):
        raise gone
    folder = root() / token
    try:
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise gone from None
    if owner is not None and about["owner"] != owner.pk:
        raise gone
    return Upload(token, folder / about["file"], about["name"])


def write_report(upload: Upload, report: dict[str, Any]) -> None:
    """Keep the report of a check beside the file: whole, or not at all."""
    draft = upload.folder / f".report.{secrets.token_hex(4)}"
    try:
        with draft.open("w", encoding="utf-8") as out:
            json.dump(report, out)
            out.flush()
            os.fsync(out.fileno())
        draft.replace(upload.report_path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def read_report(upload: Upload) -> dict[str, Any] | None:
    """The report of the check of this file; None when it has not been read to its end."""
    try:
        return json.loads(upload.report_path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


@contextmanager
def in_its_name(upload: Upload) -> Iterator[None]:
    """Let a fault of the file be told in the person's words: their file's name, the form's field."""
    try:
        yield
    except BadInput as error:
        message = error.message.replace(upload.path.name, f"“{upload.name[:80]}”")
        raise BadInput(message, "file", error.remedy) from error


def discard(token: str) -> None:
    """Delete an upload; nothing happens where it is gone already."""
    if TOKEN.fullmatch(token):
        shutil.rmtree(root() / token, ignore_errors=True)


def root() -> Path:
    """The folder of all uploads."""
    return settings.FERRY_DATA / "uploads"


def _endings(name: str) -> str:
    """``.csv`` or ``.csv.gz`` of a file name; BadInput for anything that is not read here."""
    lower = name.lower()
    packed = ".gz" if lower.endswith(".gz") else ""
    ending = Path(lower.removesuffix(packed)).suffix if packed else Path(lower).suffix
    if ending not in ENDINGS:
        raise BadInput(
            f"“{name[:80]}” has an ending that is not read here.",
            "file",
            "Bring .smi, .sdf, .csv or .tsv, each also gzipped (.gz).",
        )
    return ending + packed
