"""Bringing a backup back, into SQLite or PostgreSQL, whichever it was made from.

Everything is unpacked beside what is there and its hashes are compared before anything is replaced. Rows go into empty
tables: a new SQLite file, or PostgreSQL tables made anew in one transaction. What was in the data folder is kept in
``before-restore-…`` until somebody deletes it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.core.management.color import no_style
from django.db import connection, connections, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone

from workers import archive, serving, version
from workers.disk import TOO_LITTLE
from workers.errors import BadInput, Busy
from workers.models import Job, Library, ModelVersion

STAGED = "restored"  # the name of the new SQLite file's connection


def restore(file: Path, *, force: bool = False) -> dict[str, Any]:
    """Bring back the backup in ``file``: ferry, created, rows, files, skipped, kept (where the former state lies).

    Raises BadInput for what is no whole backup, or one of a newer version; Busy while Ferry runs, when something is
    there already (unless ``force``), or for want of space. Whatever is raised, nothing has been changed.
    """
    with serving.alone(), _opened(file) as packed:
        manifest = read_manifest(packed)
        check_version(manifest)
        if not force and (there := what_is_there()):
            raise Busy(f"Something is here already: {there}. With --force it is replaced, and kept aside.")
        _check_space(manifest)
        data: Path = settings.FERRY_DATA
        stage = data / f".restore-{os.getpid()}"
        shutil.rmtree(stage, ignore_errors=True)
        stage.mkdir(mode=0o700)
        try:
            _unpack(packed, manifest, stage)
            kept = data / f"before-restore-{timezone.now():%Y%m%d-%H%M%S}"
            if connection.vendor == "sqlite":
                _into_new_file(manifest, stage, kept)
            else:
                with transaction.atomic():
                    _drop_tables()
                    _load(connection, manifest, stage)
                    with _swapped(stage, kept):
                        pass
        finally:
            shutil.rmtree(stage, ignore_errors=True)
    return {
        "ferry": manifest["ferry"],
        "created": manifest["created"],
        "rows": sum(table["rows"] for table in manifest["tables"].values()),
        "files": sum(name.startswith(archive.FILES) for name in manifest["files"]),
        "skipped": manifest["skipped"],
        "kept": str(kept) if kept.exists() else None,
    }


def read_manifest(packed: zipfile.ZipFile) -> dict[str, Any]:
    """The manifest of an open backup. Raises BadInput where it has none, or its members are not those it names."""
    try:
        manifest = json.loads(packed.read(archive.MANIFEST))
        members = set(packed.namelist()) - {archive.MANIFEST}
        whole = members == set(manifest["files"]) and len(packed.namelist()) == len(members) + 1
    except (KeyError, ValueError, TypeError, zipfile.BadZipFile):
        raise BadInput(
            "This is no backup of Ferry's.", "file", "Choose a file that `backup` wrote."
        ) from None
    if manifest.get("format") != archive.FORMAT:
        raise BadInput(
            f"The backup has format {manifest.get('format')}; this version reads format {archive.FORMAT}.",
            "file",
            f"Restore it with Ferry {manifest.get('ferry')} or a later one.",
        )
    if not whole or not all(map(_allowed, members)):
        raise BadInput("The backup is damaged: its parts are not those it names.", "file", "Take another.")
    return manifest


def check_version(manifest: Mapping[str, Any]) -> None:
    """Raise BadInput when a newer Ferry made the backup, or one that this version knows no way from."""
    mine = version.ferry()
    known = MigrationLoader(None).disk_migrations
    unknown = [
        f"{app}.{name}"
        for app, names in manifest["migrations"].items()
        for name in names
        if (app, name) not in known
    ]
    if unknown or _numbers(manifest["ferry"]) > _numbers(mine):
        what = f" (it has {', '.join(unknown[:3])})" if unknown else ""
        raise BadInput(
            f"The backup was made by Ferry {manifest['ferry']}{what}; this is Ferry {mine}.",
            "file",
            "Install that version or a later one, then restore.",
        )


def what_is_there() -> str:
    """What a restore would replace, in words; empty where there is nothing."""
    tables = set(connection.introspection.table_names())
    rows = (apps.get_model(settings.AUTH_USER_MODEL), Job, Library, ModelVersion)
    found = [
        f"{count} {model._meta.verbose_name_plural}"
        for model in rows
        if model._meta.db_table in tables and (count := model._base_manager.count())
    ]
    for name in archive.FOLDERS:
        folder = settings.FERRY_DATA / name
        if folder.exists() and any(folder.iterdir()):
            found.append(f"files in {name}/")
    return ", ".join(found)


@contextmanager
def _opened(file: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(file) as packed:
            yield packed
    except FileNotFoundError:
        raise BadInput(f"There is no file {file}.", "file", "Check the name.") from None
    except (zipfile.BadZipFile, EOFError) as error:
        raise BadInput(f"{file} is no whole backup ({error}).", "file", "Take another.") from None


def _allowed(name: str) -> bool:
    """Whether a member may be unpacked: a table, or a file in one of the folders that a backup has."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or "\\" in name or {"..", "."} & set(name.split("/")):
        return False
    if f"{parts[0]}/" == archive.DATABASE:
        return len(parts) == 2
    if f"{parts[0]}/" != archive.FILES:
        return False
    return parts[1:] == (archive.SECRET,) or (len(parts) > 2 and parts[1] in archive.FOLDERS)


def _check_space(manifest: Mapping[str, Any]) -> None:
    needed = 2 * sum(entry["bytes"] for name, entry in manifest["files"].items() if _is_table(name))
    needed += sum(entry["bytes"] for name, entry in manifest["files"].items() if not _is_table(name))
    free = shutil.disk_usage(settings.FERRY_DATA).free
    if free < needed + TOO_LITTLE:
        raise Busy(
            f"The backup unpacks to {needed / 1e9:.1f} GB, and only {free / 1e9:.1f} GB are free where FERRY_DATA is."
        )


def _is_table(name: str) -> bool:
    return name.startswith(archive.DATABASE)


def _unpack(packed: zipfile.ZipFile, manifest: Mapping[str, Any], stage: Path) -> None:
    """Unpack all of it. Raises BadInput at the first member whose size or hash is not what the manifest says."""
    for name, facts in manifest["files"].items():
        out = stage / name
        out.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with packed.open(name) as source, out.open("xb") as into:
            size = archive.copy(_Bounded(source, facts["bytes"]), into, digest)  # type: ignore[arg-type]
        if size != facts["bytes"] or digest.hexdigest() != facts["sha256"]:
            raise BadInput(
                f"The backup is damaged: {name} is not what was stored.", "file", "Nothing was changed."
            )


class _Bounded:
    """A stream of which at most one byte more than announced is read, so that a forged one cannot fill the disk."""

    def __init__(self, source: IO[bytes], most: int) -> None:
        self._source, self._left = source, most + 1

    def read(self, size: int) -> bytes:
        """The next bytes."""
        chunk = self._source.read(min(size, self._left))
        self._left -= len(chunk)
        return chunk


def _into_new_file(manifest: Mapping[str, Any], stage: Path, kept: Path) -> None:
    """Make a new SQLite file of the rows, then put it and the files in place of what is there."""
    made, worth_keeping = stage / "database.sqlite3", bool(what_is_there())
    connections.databases[STAGED] = {**connection.settings_dict, "NAME": str(made)}
    try:
        _load(connections[STAGED], manifest, stage)
    finally:
        connections[STAGED].close()
        del connections[STAGED], connections.databases[STAGED]
    place = Path(str(connection.settings_dict["NAME"]))
    aside = kept if worth_keeping else stage / "worthless"
    with _swapped(stage, kept) as move:
        connections.close_all()
        for old in (place.with_name(place.name + ending) for ending in ("-wal", "-shm", "")):
            if old.exists():
                move(old, aside / old.name)
        move(made, place)


def _load(into: Any, manifest: Mapping[str, Any], stage: Path) -> None:
    """Make the tables as they were at the backup, fill them, then bring them to this version."""
    loader = MigrationLoader(None)
    then = [(app, name) for app, names in manifest["migrations"].items() for name in names]
    then = [key for key in then if key in loader.graph.nodes]
    last = [
        key
        for key in then
        if not any(
            child.key[0] == key[0] and child.key in then for child in loader.graph.node_map[key].children
        )
    ]
    MigrationExecutor(into).migrate(last)
    earlier = loader.project_state(then).apps
    named: list[tuple[Any, str, list[str]]] = []
    plain: list[tuple[Any, str, list[str]]] = []
    for label, facts in manifest["tables"].items():
        model = earlier.get_model(label)
        names = any(map(archive.is_permission, archive.fields(model)))
        (named if names else plain).append((model, label, facts["columns"]))
    order = {name: place for place, name in enumerate(manifest["order"])}
    plain.sort(key=lambda entry: order[entry[1]])
    with transaction.atomic(using=into.alias):
        into.check_constraints()  # in PostgreSQL this also puts them off again: a row may refer to a later one
        with into.cursor() as cursor:
            for model, *_ in [*named, *reversed(plain)]:  # what the migrations put there themselves
                cursor.execute(f"DELETE FROM {into.ops.quote_name(model._meta.db_table)}")  # noqa: S608
        for model, label, columns in plain:
            with (stage / archive.DATABASE / f"{label}.jsonl").open("rb") as lines:
                archive.insert(into, model, columns, lines)
        into.check_constraints()
    call_command("migrate", database=into.alias, interactive=False, verbosity=0)
    with transaction.atomic(using=into.alias):
        for model, label, columns in named:
            with (stage / archive.DATABASE / f"{label}.jsonl").open("rb") as lines:
                _insert_permissions(into, model, columns, lines)
        into.check_constraints()
        with into.cursor() as cursor:
            for statement in into.ops.sequence_reset_sql(no_style(), archive.tables()):
                cursor.execute(statement)
    _check_counts(into, plain, manifest)


def _insert_permissions(
    into: Any, model: Any, columns: list[str], lines: Iterator[bytes] | IO[bytes]
) -> None:
    """Rows that name permissions, numbered as this database numbers them; rights that are no more are dropped."""
    keys = archive.permissions(into.alias)
    place = next(n for n, name in enumerate(columns) if archive.is_permission(_column(model, name)))
    found = [json.loads(text) for text in lines]
    rows = [[*row[:place], keys[row[place]], *row[place + 1 :]] for row in found if row[place] in keys]
    with into.cursor() as cursor:
        cursor.execute(f"DELETE FROM {into.ops.quote_name(model._meta.db_table)}")  # noqa: S608
    archive.insert(into, model, columns, map(archive.line, rows))


def _column(model: Any, name: str) -> Any:
    return next(field for field in archive.fields(model) if field.attname == name)


def _check_counts(into: Any, loaded: list[tuple[Any, str, Any]], manifest: Mapping[str, Any]) -> None:
    with into.cursor() as cursor:
        for model, label, _ in loaded:
            cursor.execute(f"SELECT count(*) FROM {into.ops.quote_name(model._meta.db_table)}")  # noqa: S608
            count, wanted = cursor.fetchone()[0], manifest["tables"][label]["rows"]
            if count != wanted:
                raise BadInput(
                    f"{label} has {count} rows after loading and had {wanted}.",
                    "file",
                    "Nothing was changed.",
                )


def _drop_tables() -> None:
    """Drop Ferry's tables, and no others that live in the same PostgreSQL database."""
    quote = connection.ops.quote_name
    there = set(connection.introspection.table_names())
    ours = set(connection.introspection.django_table_names(include_views=False)) | {"django_migrations"}
    with connection.cursor() as cursor:
        for name in sorted(there & ours):
            cursor.execute(f"DROP TABLE {quote(name)} CASCADE")


@contextmanager
def _swapped(stage: Path, kept: Path) -> Iterator[Callable[[Path, Path], None]]:
    """Put the unpacked folders in place of those there, and take all of it back if what follows fails.

    Gives what moves a file so that this is taken back too.
    """
    data: Path = settings.FERRY_DATA
    done: list[tuple[Path, Path]] = []

    def move(source: Path, target: Path) -> None:
        target.parent.mkdir(exist_ok=True)
        source.rename(target)
        done.append((source, target))

    try:
        for name in (*archive.FOLDERS, archive.SECRET):
            new, there = stage / archive.FILES / name, data / name
            if name == archive.SECRET and not new.exists():
                continue
            if there.exists():
                move(there, kept / name)
            if new.exists():
                move(new, there)
                if name == archive.SECRET:
                    there.chmod(0o600)
        yield move
    except BaseException:
        for source, target in reversed(done):
            target.rename(source)
        raise


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())
