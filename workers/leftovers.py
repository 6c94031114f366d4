"""What ended work has left on the disk, cleared away once nobody can go on with it.

Uploads are in ``FERRY_DATA/uploads/<token>``, half-built libraries in ``FERRY_DATA/libraries/<id>.building``. What an
open job needs is never touched, whatever its age; an import that ended without a library can be tried again for a week.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Collection
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from workers import uploads
from workers.models import Job, Library

log = logging.getLogger(__name__)

BUILDING = ".building"
#: how long a file is kept that no import has taken up, and a folder that no job knows
IDLE_SECONDS = 24 * 3600
#: how long an import that failed, was stopped or was given up can go on where it stood
RESUMABLE_SECONDS = 7 * 24 * 3600


def clear() -> int:
    """Delete uploads and half-built libraries that nobody can want any more; how many."""
    brought = {path.name: path for path in _inside(uploads.root())}
    halves = {
        path.name.removesuffix(BUILDING): path
        for path in _inside(settings.FERRY_DATA / "libraries")
        if path.name.endswith(BUILDING)
    }
    unusable = _unusable(brought)
    old_uploads = {name for name, path in brought.items() if name in unusable or _idle(path)}
    old_halves = {name for name, path in halves.items() if _idle(path)}
    gone = [brought[name] for name in old_uploads - _needed("upload", old_uploads)]
    gone += [halves[name] for name in old_halves - _needed("library", old_halves)]
    return sum(discard(folder) for folder in gone)


def discard(folder: Path) -> bool:
    """Delete a folder of a library (or of an upload) with the vectors that it keeps elsewhere; whether it is gone.

    It stays while a vector store that holds its vectors cannot be reached: only the folder knows them.
    """
    from mlcore.retrieval.vectors import placement
    from mlcore.runtime.errors import LibraryError

    try:
        placement.drop(folder)
    except LibraryError as error:
        log.warning("%s stays for now: %s", folder, error)
        return False
    shutil.rmtree(folder, ignore_errors=True)
    return True


def _needed(parameter: str, names: Collection[str]) -> set[str]:
    """Those of ``names`` that an open job has as its ``parameter``, or an import that can still be tried again."""
    if not names:
        return set()
    again = Q(
        kind="library",
        state__in=(Job.State.FAILED, Job.State.STOPPED, Job.State.LOST),
        finished__gt=timezone.now() - timedelta(seconds=RESUMABLE_SECONDS),
        parameters__library__in=list(Library.objects.values_list("pk", flat=True)),
    )
    rows = Job.objects.filter(Q(state__in=Job.OPEN) | again, **{f"parameters__{parameter}__in": list(names)})
    return set(rows.values_list(f"parameters__{parameter}", flat=True))


def _unusable(tokens: Collection[str]) -> set[str]:
    """Uploads that a check has found to be no file of molecules: nobody needs them another day."""
    if not tokens:
        return set()
    rows = Job.objects.filter(
        kind="check",
        state=Job.State.FAILED,
        result__problem__isnull=False,
        parameters__upload__in=list(tokens),
    )
    return set(rows.values_list("parameters__upload", flat=True))


def _inside(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except FileNotFoundError:
        return []


def _idle(folder: Path) -> bool:
    """Whether nothing in it has changed for a day; not so where it is just being changed."""
    try:
        changed = max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
    except (FileNotFoundError, NotADirectoryError):
        return False
    return time.time() - changed > IDLE_SECONDS
