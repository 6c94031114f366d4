"""Whether Ferry runs on this data folder: who serves holds a lock, and who must be alone asks for it."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone

from workers.errors import Busy

LOCK = "serving.lock"


@contextmanager
def together() -> Iterator[None]:
    """Hold the lock beside others that serve. Raises Busy while a restore has it alone."""
    with _locked(fcntl.LOCK_SH, "A backup is being restored here. Wait until that is done."):
        yield


@contextmanager
def alone() -> Iterator[None]:
    """Hold the lock alone. Raises Busy while anything serves or works on this folder."""
    with _locked(fcntl.LOCK_EX, "Ferry is running on this folder. Stop it first."):
        names = _workers()
        if names:
            raise Busy(f"Workers gave a sign of life just now: {', '.join(names)}. Stop them first.")
        yield


@contextmanager
def _locked(kind: int, told: str) -> Iterator[None]:
    path: Path = settings.FERRY_DATA / LOCK
    with path.open("a") as file:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(told) from None
        yield


def _workers() -> list[str]:
    from workers.models import Worker

    lately = timezone.now() - timedelta(seconds=2 * settings.FERRY_SWEEP)
    try:
        return list(Worker.objects.filter(seen__gte=lately).values_list("name", flat=True))
    except DatabaseError:  # no tables yet
        return []
