"""What a backup looks like inside: one zip file that any tool opens.

``manifest.json`` (written last) has the format, Ferry's version, the applied migrations, the columns and row count of
every table, and size and sha256 of every member. ``database/<app>.<model>.jsonl`` holds a table, a row a line, in an
order in which no row comes before what it refers to. ``files/…`` are files as they lie under ``FERRY_DATA``.

Rows are stored by column, not by the classes of today, so that SQLite and PostgreSQL read each other's, and a backup of
an earlier version is loaded into the tables as they were then and migrated from there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime
from itertools import islice
from typing import IO, Any
from uuid import UUID

from django.apps import apps
from django.contrib.auth.models import Permission
from django.db import models

FORMAT = 1
MANIFEST = "manifest.json"
DATABASE, FILES = "database/", "files/"
#: what the folders of a backup may be; nothing is ever unpacked anywhere else
FOLDERS = ("libraries", "jobs", "datasets")
SECRET = "secret_key"  # noqa: S105  a file's name
CHUNK = 1 << 20
ROWS = 1000

#: made again by themselves, or worth nothing later: log-ins, locks, the admin's own log, streams of news
LEFT_OUT = {
    "admin.logentry",
    "auth.permission",
    "contenttypes.contenttype",
    "sessions.session",
    "workers.event",
    "workers.worker",
}
APPS_LEFT_OUT = {"axes"}


def tables() -> list[Any]:
    """The models whose rows are kept, many-to-many ones too, each after those that it refers to."""
    kept = [
        model
        for model in apps.get_models(include_auto_created=True)
        if model._meta.managed
        and not model._meta.proxy
        and model._meta.label_lower not in LEFT_OUT
        and model._meta.app_label not in APPS_LEFT_OUT
    ]
    out: list[Any] = []
    while kept:
        ready = [model for model in kept if not (_referred(model) - {model}) & set(kept)]
        if not ready:
            raise ValueError(f"tables refer to each other in a circle: {kept}")
        out += ready
        kept = [model for model in kept if model not in ready]
    return out


def fields(model: Any) -> list[Any]:
    """The columns of a table."""
    return list(model._meta.local_concrete_fields)


def rows(model: Any) -> Iterator[list[Any]]:
    """The rows of a table as JSON-able values, in the order of :func:`fields`."""
    columns = fields(model)
    names = {pk: name for name, pk in permissions().items()}
    natural = {place: names for place, field in enumerate(columns) if is_permission(field)}
    found = model._base_manager.order_by("pk").values_list(*(field.attname for field in columns))
    for row in found.iterator(chunk_size=ROWS):
        yield [natural[place][value] if place in natural else value for place, value in enumerate(row)]


def line(row: Sequence[Any]) -> bytes:
    """A row as a line."""
    return json.dumps(row, default=_plain, ensure_ascii=False).encode() + b"\n"


def insert(connection: Any, model: Any, columns: Sequence[str], lines: Iterable[bytes]) -> int:
    """Put rows into a table as they are: no signals, no ``auto_now``; how many.

    ``model`` may be a class of an earlier state of the migrations.
    """
    by_name = {field.attname: field for field in fields(model)}
    into = [by_name[name] for name in columns]
    quote = connection.ops.quote_name
    names = ", ".join(quote(field.column) for field in into)
    marks = ", ".join(["%s"] * len(into))
    statement = f"INSERT INTO {quote(model._meta.db_table)} ({names}) VALUES ({marks})"  # noqa: S608  names are Django's
    read = [(field, _reader(field)) for field in into]
    count = 0
    left = iter(lines)
    with connection.cursor() as cursor:
        while some := list(islice(left, ROWS)):
            values = [
                [
                    field.get_db_prep_save(back(value), connection)
                    for (field, back), value in zip(read, json.loads(text), strict=True)
                ]
                for text in some
            ]
            cursor.executemany(statement, values)
            count += len(values)
    return count


def is_permission(field: Any) -> bool:
    """Whether a column refers to a permission: those are numbered differently in every database."""
    related = getattr(field, "related_model", None)
    return related is not None and related._meta.label_lower == "auth.permission"


def _referred(model: Any) -> set[Any]:
    return {field.related_model for field in fields(model) if isinstance(field, models.ForeignKey)}


def permissions(using: str = "default") -> dict[str, int]:
    """Number by name (``app.model.codename``) of the permissions of a database."""
    names = ("content_type__app_label", "content_type__model", "codename")
    found = Permission.objects.using(using).values_list("pk", *names)
    return {".".join(name): pk for pk, *name in found}


def _plain(value: Any) -> str:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no place in a backup")


def _reader(field: Any) -> Callable[[Any], Any]:
    """How a stored value becomes what the column takes."""
    target = field
    while isinstance(target, models.ForeignKey):
        target = target.target_field
    return _same if isinstance(target, models.JSONField) else target.to_python


def _same(value: Any) -> Any:
    return value


def copy(source: IO[bytes], out: IO[bytes], digest: Any) -> int:
    """Copy a stream while hashing it; how many bytes."""
    size = 0
    while chunk := source.read(CHUNK):
        digest.update(chunk)
        out.write(chunk)
        size += len(chunk)
    return size
