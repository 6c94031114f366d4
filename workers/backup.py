"""A backup: database, libraries, trained models and data sets in one file, taken while the server runs.

The rows are those of one moment (one read transaction). A library is swapped in whole by its import, so its files are
opened together and read from there, whatever takes their place meanwhile. See :mod:`workers.archive` for the format.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import time
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.db import connection, transaction
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from workers import archive, registry, status, version
from workers.errors import BadInput, Busy
from workers.leftovers import BUILDING
from workers.models import Library, ModelVersion

log = logging.getLogger(__name__)

TRIES = 5
#: gain nothing from being packed
DENSE = (".npy", ".npz", ".safetensors", ".faiss", ".gz", ".parquet", ".zip")


def write(out: Path, *, secret_key: bool = False) -> dict[str, Any]:
    """Write a backup to ``out``: file, bytes, created, seconds, rows, files, skipped (each in words).

    ``secret_key`` takes along the key that signs sessions. The file can be read by its owner only: it holds the hashes
    of passwords. It has its name once it is whole. Raises BadInput for a place that cannot be, Busy when the database
    lacks migrations.
    """
    started = time.monotonic()
    out = out.resolve()
    _check_place(out)
    if pending := status.pending_migrations():
        raise Busy(f"The database lacks {', '.join(pending)}. Run python manage.py migrate first.")
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        handle = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w+b") as file:
            writer = _Writer(file)
            writer.fill(secret_key=secret_key)
            file.flush()
            os.fsync(file.fileno())
        part.replace(out)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    facts = {
        "file": str(out),
        "bytes": out.stat().st_size,
        "created": writer.manifest["created"],
        "seconds": round(time.monotonic() - started, 1),
        "ferry": writer.manifest["ferry"],
    }
    _remember(facts)
    tables = writer.manifest["tables"].values()
    return {
        **facts,
        "rows": sum(table["rows"] for table in tables),
        "files": sum(name.startswith(archive.FILES) for name in writer.manifest["files"]),
        "skipped": writer.manifest["skipped"],
    }


class _Writer:
    """One archive that is being filled."""

    def __init__(self, file: IO[bytes]) -> None:
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        self.manifest: dict[str, Any] = {
            "format": archive.FORMAT,
            "ferry": version.ferry(),
            "created": timezone.now().isoformat(),
            "database": connection.vendor,
            "migrations": migrations(),
            "tables": {},
            "order": [],
            "files": {},
            "skipped": [],
        }

    def fill(self, *, secret_key: bool) -> None:
        """Rows, files, manifest."""
        with self._zip:
            with snapshot():
                for model in archive.tables():
                    self._table(model)
                libraries = list(Library.objects.order_by("pk"))
                versions = list(ModelVersion.objects.order_by("pk"))
            for library in libraries:
                self._library(library)
            for row in versions:
                self._model(row)
            self._datasets()
            self._say_what_stays()
            if secret_key:
                self._one(settings.FERRY_DATA / archive.SECRET)
            text = json.dumps(self.manifest, indent=1, ensure_ascii=False, sort_keys=True)
            self._zip.writestr(archive.MANIFEST, text)

    def _table(self, model: Any) -> None:
        label = model._meta.label_lower
        columns = [field.attname for field in archive.fields(model)]
        count, digest, size = 0, hashlib.sha256(), 0
        name = f"{archive.DATABASE}{label}.jsonl"
        with self._zip.open(zipfile.ZipInfo(name, _now()), "w", force_zip64=True) as out:
            for row in archive.rows(model):
                text = archive.line(row)
                out.write(text)
                digest.update(text)
                size += len(text)
                count += 1
        self.manifest["order"].append(label)
        self.manifest["tables"][label] = {"columns": columns, "rows": count}
        self.manifest["files"][name] = {"sha256": digest.hexdigest(), "bytes": size}

    def _library(self, library: Library) -> None:
        if library.state != Library.State.READY:
            self._skip(f"library {library.pk}: {library.state}, not finished")
        elif not self._folder(library.folder, "manifest.json"):
            self._skip(f"library {library.pk}: its folder is not there")

    def _model(self, row: ModelVersion) -> None:
        folder = registry.resolve(row.folder)
        if not folder.is_relative_to(settings.FERRY_DATA):
            self._skip(f"{row}: its files are outside FERRY_DATA, in {folder}")
        elif not self._folder(folder, "card.json"):
            self._skip(f"{row}: its folder is not there")

    def _datasets(self) -> None:
        root = settings.FERRY_DATA / "datasets"
        for path in sorted(root.rglob("*")) if root.exists() else ():
            if path.is_file() and not path.name.endswith(".part"):
                self._one(path)

    def _say_what_stays(self) -> None:
        data = settings.FERRY_DATA
        for path in sorted((data / "libraries").glob(f"*{BUILDING}")):
            self._skip(f"libraries/{path.name}: half-built")
        checkpoints = sum(1 for path in (data / "jobs").glob("*") if path.is_dir() and not _has_model(path))
        if checkpoints:
            self._skip(f"jobs: folders of {checkpoints} jobs without a registered model (checkpoints)")
        if any((data / "uploads").glob("*")):
            self._skip("uploads: files that wait to be imported")
        if settings.VECTOR_STORE:
            self._skip("the vector store: libraries whose vectors are in it have to be rebuilt")

    def _folder(self, folder: Path, needed: str) -> bool:
        """Store a folder as it is at one moment; False where it is not there, or not whole."""
        with held(folder) as files:
            if needed not in (name for name, _ in files):
                return False
            for name, file in files:
                self._store((folder / name).relative_to(settings.FERRY_DATA).as_posix(), file)
        return True

    def _one(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                self._store(path.relative_to(settings.FERRY_DATA).as_posix(), file)
        except FileNotFoundError:
            self._skip(f"{path.relative_to(settings.FERRY_DATA)}: was deleted meanwhile")

    def _store(self, name: str, file: IO[bytes]) -> None:
        name, digest = f"{archive.FILES}{name}", hashlib.sha256()
        entry = zipfile.ZipInfo(name, _now())
        entry.compress_type = zipfile.ZIP_STORED if name.endswith(DENSE) else zipfile.ZIP_DEFLATED
        with self._zip.open(entry, "w", force_zip64=True) as out:
            size = archive.copy(file, out, digest)
        self.manifest["files"][name] = {"sha256": digest.hexdigest(), "bytes": size}

    def _skip(self, words: str) -> None:
        self.manifest["skipped"].append(words)


@contextmanager
def snapshot() -> Iterator[None]:
    """Read the database as it is now, whatever is written meanwhile; writers are not held up."""
    if connection.in_atomic_block:
        yield
    elif connection.vendor == "sqlite":  # a deferred transaction: in write-ahead mode it sees one moment
        with connection.cursor() as cursor:
            cursor.execute("BEGIN DEFERRED")
        try:
            yield
        finally:
            with connection.cursor() as cursor:
                cursor.execute("ROLLBACK")
    else:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield


@contextmanager
def held(folder: Path) -> Iterator[list[tuple[str, IO[bytes]]]]:
    """Every file below ``folder``, open, by its path in there; all of one moment, even if the folder is replaced while
    they are read. None where there is no such folder."""
    for left in reversed(range(TRIES)):
        with ExitStack() as stack:
            try:
                files = _opened(folder, stack)
            except FileNotFoundError:
                if folder.exists() and left:  # it was replaced just now
                    time.sleep(0.1)
                    continue
                files = []
            yield files
            return


def _opened(folder: Path, stack: ExitStack) -> list[tuple[str, IO[bytes]]]:
    top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    stack.callback(os.close, top)
    out = []
    for place, _, names, inside in os.fwalk(dir_fd=top):
        for name in sorted(names):
            handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=inside)
            out.append((os.path.normpath(f"{place}/{name}"), stack.enter_context(os.fdopen(handle, "rb"))))
    if os.fstat(top).st_ino != folder.stat().st_ino:
        raise FileNotFoundError(folder)
    return sorted(out, key=lambda entry: entry[0])


def migrations() -> dict[str, list[str]]:
    """The applied migrations by app."""
    out: dict[str, list[str]] = {}
    for app, name in sorted(MigrationRecorder(connection).applied_migrations()):
        out.setdefault(app, []).append(name)
    return out


def _has_model(folder: Path) -> bool:
    inside = folder.relative_to(settings.FERRY_DATA).as_posix()
    return ModelVersion.objects.filter(folder__startswith=inside).exists()


def _now() -> tuple[int, int, int, int, int, int]:
    return time.localtime()[:6]


def _check_place(out: Path) -> None:
    if out.is_dir():
        raise BadInput(f"{out} is a folder.", "file", "Name a file, such as ferry-backup.zip.")
    if not out.parent.is_dir():
        raise BadInput(f"There is no folder {out.parent}.", "file", "Make it first, or choose another.")
    for name in archive.FOLDERS:
        if out.is_relative_to(settings.FERRY_DATA / name):
            raise BadInput(f"{out} is among what is backed up.", "file", "Choose a place outside of it.")
    needed = sum(_size(settings.FERRY_DATA / name) for name in ("libraries", "datasets"))
    needed += sum(_size(registry.resolve(row.folder)) for row in ModelVersion.objects.all())
    free = shutil.disk_usage(out.parent).free
    if free < needed:
        raise Busy(
            f"A backup may take {needed / 1e9:.1f} GB, and {out.parent} has {free / 1e9:.1f} GB left. "
            "Choose another disk."
        )


def _size(folder: Path) -> int:
    from workers import disk

    return disk.size(folder)


def _remember(facts: dict[str, Any]) -> None:
    """What the status page says of the last backup."""
    path = settings.FERRY_DATA / status.LAST_BACKUP
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(json.dumps(facts, indent=1), encoding="utf-8")
    part.replace(path)
