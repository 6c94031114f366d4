"""The data that trainings and evaluations read: files below a few folders, named by their path in there.

Own files are in ``FERRY_DATA/datasets``; further folders come from ``FERRY_DATASETS``; ``ferry/catalogue.tsv`` is what
ships with Ferry. A name never leads out of these folders.
"""

from __future__ import annotations

import csv
import hashlib
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from django.conf import settings

from workers import catalogue
from workers.errors import BadInput, Busy, NotFound

ENDINGS = (".tsv", ".csv", ".tsv.gz", ".csv.gz", ".npy", ".npz", ".parquet", ".json", ".jsonl")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
SHIPPED = "ferry/catalogue.tsv"
SPARE = 500_000_000  # bytes that stay free on the disk
MOST_LISTED = 1000


class Incoming(Protocol):
    """A file as it arrives."""

    name: str | None
    size: int | None

    def chunks(self) -> Any:
        """Its bytes in pieces."""


@dataclass(frozen=True)
class DataSet:
    """One file: its name, where it is, its size in bytes, and whether it may be deleted here."""

    name: str
    path: Path
    size: int
    own: bool


def listing() -> list[DataSet]:
    """Every data set, sorted by name."""
    found = {SHIPPED: DataSet(SHIPPED, shipped(), shipped().stat().st_size, False)}
    for root in roots():
        for path in sorted(root.rglob("*"))[:MOST_LISTED]:
            if path.is_file() and path.name.endswith(ENDINGS):
                name = path.relative_to(root).as_posix()
                found.setdefault(name, DataSet(name, path, path.stat().st_size, root == roots()[0]))
    return [found[name] for name in sorted(found)]


def resolve(name: str, field: str = "data") -> Path:
    """The file of a data set. Raises BadInput where there is none, with what there is."""
    if name == SHIPPED:
        return shipped()
    for root in roots() if _could_be(name) else ():
        path = (root / name).resolve()
        if path.is_relative_to(root) and path.is_file():
            return path
    known = [entry.name for entry in listing()][:10]
    raise BadInput(
        f"There is no data set '{name[:80]}'.",
        field,
        f"Upload it first, or choose one: {', '.join(known)}.",
    )


def _could_be(name: str) -> bool:
    """Whether a file system could hold such a name at all."""
    return (
        name.isprintable() and all(len(part.encode()) < 256 for part in name.split("/")) and len(name) < 1000
    )


def paths(data: dict[str, str]) -> dict[str, Path]:
    """The files of named data sets."""
    return {role: resolve(name, f"data.{role}") for role, name in data.items()}


def described(data: dict[str, str]) -> list[dict[str, Any]]:
    """Name, use and sha256 of each: what a result has to remember of the data it rests on."""
    return [
        {"name": name, "use": role, "sha256": sha256(resolve(name))} for role, name in sorted(data.items())
    ]


def store(file: Incoming) -> DataSet:
    """Keep an uploaded file. Raises BadInput for a name or ending that is not taken, Busy for want of space."""
    name = Path(file.name or "").name
    if not NAME.fullmatch(name) or not name.endswith(ENDINGS):
        raise BadInput(
            f"'{name[:60]}' is no name for a data set.",
            "file",
            f"Letters, digits, dots and dashes, ending with one of {', '.join(ENDINGS)}.",
        )
    root = roots()[0]
    if (root / name).exists():
        raise BadInput(f"There is a data set '{name}' already.", "file", "Delete it first, or rename yours.")
    if shutil.disk_usage(root).free < (file.size or 0) + SPARE:
        raise Busy("The disk is nearly full; nothing was stored. Delete what is not needed, then try again.")
    handle, part = tempfile.mkstemp(dir=root, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as out:
            for chunk in file.chunks():
                out.write(chunk)
        Path(part).replace(root / name)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
    return DataSet(name, root / name, (root / name).stat().st_size, True)


def remove(name: str) -> None:
    """Delete an own data set. Raises NotFound for others, Busy while an open job needs it."""
    from workers.models import Job

    found = next((entry for entry in listing() if entry.name == name and entry.own), None)
    if found is None:
        raise NotFound(f"There is no data set '{name[:80]}' that can be deleted here.")
    for job in Job.objects.filter(state__in=Job.OPEN):
        if name in (job.parameters.get("data") or {}).values():
            raise Busy(f"The job {job} needs this data set. Stop it first.")
    found.path.unlink()


def roots() -> list[Path]:
    """The folders of data sets, that of uploads first."""
    own = settings.FERRY_DATA / "datasets"
    own.mkdir(exist_ok=True)
    return [own, *(Path(folder).resolve() for folder in settings.FERRY_DATASETS)]


def shipped() -> Path:
    """The catalogue's molecules with their descriptions as one table, made from its files when they have changed."""
    sources = sorted(settings.FERRY_CATALOGUE.glob("*.tsv"))
    stamp = hashlib.sha256(repr([(p.name, p.stat().st_mtime_ns) for p in sources]).encode()).hexdigest()[:12]
    out = settings.FERRY_DATA / "tmp" / f"catalogue-{stamp}.tsv"
    if not out.exists():
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent) as scratch:
            whole, part = Path(scratch) / "whole.tsv", Path(scratch) / "part.tsv"
            catalogue.write_source(whole)
            _for_training(whole, part)
            part.replace(out)
    return out


def _for_training(source: Path, out: Path) -> None:
    """The columns that a training reads."""
    with (
        source.open(encoding="utf-8", newline="") as rows,
        out.open("w", encoding="utf-8", newline="") as file,
    ):
        table = csv.writer(file, delimiter="\t", lineterminator="\n")
        table.writerow(("id", "SMILES", "description"))
        for row in csv.DictReader(rows, delimiter="\t"):
            table.writerow((row["id"], row["smiles"], row["description"]))


def sha256(path: Path) -> str:
    """Of a file's content."""
    facts = path.stat()
    return _sha256(path, facts.st_mtime_ns, facts.st_size)


@lru_cache(maxsize=256)
def _sha256(path: Path, changed: int, size: int) -> str:
    del changed, size  # part of the key
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
