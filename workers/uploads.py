"""Files that people bring, kept under a token until they are imported, or cleared away after a day.

``FERRY_DATA/uploads/<token>/`` holds the file as ``source`` plus its endings, and ``about.json``.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from django.conf import settings

from workers.errors import BadInput, Busy, NotFound

log = logging.getLogger(__name__)

ENDINGS = (".smi", ".smiles", ".sdf", ".sd", ".mol", ".csv", ".tsv", ".txt")
KEPT_SECONDS = 24 * 3600
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
    folder = _root() / token
    draft = _root() / f".{token}"
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
        "This upload is no longer here: files that were only checked are kept for a day. Send it again."
    )
    if not TOKEN.fullmatch(token):
        raise gone
    folder = _root() / token
    try:
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise gone from None
    if owner is not None and about["owner"] != owner.pk:
        raise gone
    return Upload(token, folder / about["file"], about["name"])


def discard(token: str) -> None:
    """Delete an upload; nothing happens where it is gone already."""
    if TOKEN.fullmatch(token):
        shutil.rmtree(_root() / token, ignore_errors=True)


def clear_stale() -> int:
    """Delete uploads older than a day that no open job needs; how many."""
    from workers.models import Job

    if not _root().exists():
        return 0
    needed = set(
        Job.objects.filter(kind="library")
        .exclude(state=Job.State.DONE)
        .values_list("parameters__upload", flat=True)
    )
    limit, cleared = time.time() - KEPT_SECONDS, 0
    for folder in _root().iterdir():
        if folder.name not in needed and folder.stat().st_mtime < limit:
            shutil.rmtree(folder, ignore_errors=True)
            cleared += 1
    return cleared


def _root() -> Path:
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
