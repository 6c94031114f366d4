"""What lies under ``FERRY_DATA``, by kind, and what is free."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection

#: kind → what it is, in words; each is a folder of that name
KINDS = {
    "libraries": "Libraries that people brought",
    "jobs": "Trained models and checkpoints",
    "uploads": "Files that wait to be imported",
    "datasets": "Data sets for trainings",
    "catalogues": "Built catalogues",
    "tmp": "Files in passing",
}
#: free space below which something is wrong, and below which somebody should look, in bytes
TOO_LITTLE = 500_000_000
LITTLE = 5_000_000_000
REMEMBERED = 30.0  # seconds that a count holds: a large folder takes a while
_known: dict[Path, tuple[float, dict[str, Any]]] = {}


def usage() -> dict[str, Any]:
    """Bytes by kind, and free and total bytes of the disk: ``{"kinds": [{"kind", "title", "bytes"}], "free", …}``."""
    now, data = time.monotonic(), settings.FERRY_DATA
    known = _known.get(data)
    if known is None or now - known[0] > REMEMBERED:
        known = _known[data] = (now, measure())
    return known[1]


def measure() -> dict[str, Any]:
    """The same, counted now."""
    data = settings.FERRY_DATA
    known = {name: size(data / name) for name in KINDS}
    stored = database_bytes()
    inside = Path(str(connection.settings_dict["NAME"])).is_relative_to(data)
    rest = size(data) - sum(known.values()) - (stored if inside else 0)
    kinds = [{"kind": name, "title": title, "bytes": known[name]} for name, title in KINDS.items()]
    kinds.append({"kind": "database", "title": "Database", "bytes": stored})
    kinds.append({"kind": "other", "title": "Static files, broker, logs", "bytes": max(rest, 0)})
    room = shutil.disk_usage(data)
    return {"kinds": kinds, "free": room.free, "total": room.total, "folder": str(data)}


def size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; what is not there, or vanishes meanwhile, counts nothing."""
    if path.is_file():
        return path.stat().st_size
    return sum(_sizes(path))


def _sizes(folder: Path) -> Iterator[int]:
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _sizes(Path(entry.path))
        else:
            try:
                yield entry.stat(follow_symlinks=False).st_size
            except OSError:
                continue


def database_bytes() -> int:
    """Size of the database: of SQLite's files, or what PostgreSQL says. 0 where it does not tell."""
    if connection.vendor == "sqlite":
        name = str(connection.settings_dict["NAME"])
        return sum(size(Path(f"{name}{ending}")) for ending in ("", "-wal", "-shm"))
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_database_size(current_database())")
            return int(cursor.fetchone()[0])
    return 0
