"""Bringing the database to this version: one process at a time, and in words when a step fails.

Every step is kept in ``FERRY_DATA/migrations.log``. Before a SQLite database that holds anything is changed, it is
copied beside itself; the last two copies stay.
"""

from __future__ import annotations

import fcntl
import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from workers import status
from workers.errors import Busy

LOCK = "migrate.lock"
LOG = "migrations.log"
#: two processes of this installation agree on this number of an advisory lock ("ferry" in ASCII)
ADVISORY = 0x6665727279
PATIENCE = 300.0  # seconds that another process may take
COPIES = 2


def migrate(say: Callable[[str], object] = str) -> list[str]:
    """Apply what is pending, and lay triggers and roles anew; what was applied, as ``app.name``.

    Raises Busy when another process migrates for too long, or with the step that failed and the way back.
    """
    with locked():
        pending = status.pending_migrations()
        copy = _copy() if pending else None
        if pending:
            say(f"migrating {', '.join(pending)}")
        out = io.StringIO()
        try:
            with redirect_stdout(out):  # what a migration prints itself
                call_command("migrate", interactive=False, verbosity=1, no_color=True, stdout=out)
        except Exception as error:
            _keep(out.getvalue(), f"failed: {type(error).__name__}: {error}")
            raise Busy(_told(out.getvalue(), error, copy)) from error
        if pending:
            _keep(out.getvalue(), "done")
        return pending


@contextmanager
def locked() -> Iterator[None]:
    """Be the only process that migrates this database. Raises Busy after ``PATIENCE`` seconds."""
    path: Path = settings.FERRY_DATA / LOCK
    with path.open("a") as file:
        _wait(lambda: _taken(file))
        if connection.vendor != "postgresql":  # the folder's lock is the database's
            yield
            return
        _wait(lambda: _ask("SELECT pg_try_advisory_lock(%s)"))
        try:
            yield
        finally:
            _ask("SELECT pg_advisory_unlock(%s)")


def _wait(take: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not take():
        if time.monotonic() > until:
            raise Busy(
                f"Another process has been migrating this database for {PATIENCE:.0f} s. Look at it first."
            )
        time.sleep(0.2)


def _taken(file: io.TextIOBase) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _ask(statement: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(statement, [ADVISORY])
        return bool(cursor.fetchone()[0])


def _copy() -> Path | None:
    """A copy of a SQLite database that holds anything; None for another, or an empty one."""
    if connection.vendor != "sqlite" or not MigrationRecorder(connection).applied_migrations():
        return None
    place = Path(str(connection.settings_dict["NAME"]))
    copies = sorted(place.parent.glob(f"{place.stem}-before-*{place.suffix}"))
    for old in copies[: max(0, len(copies) - COPIES + 1)]:
        old.unlink()
    copy = place.with_name(f"{place.stem}-before-{timezone.now():%Y%m%d-%H%M%S-%f}{place.suffix}")
    with connection.cursor() as cursor:
        cursor.execute("VACUUM INTO %s", [str(copy)])
    return copy


def _keep(output: str, end: str) -> None:
    path: Path = settings.FERRY_DATA / LOG
    with path.open("a", encoding="utf-8") as file:
        steps = [line.strip() for line in output.splitlines() if line.strip().startswith("Applying")]
        file.write("\n".join(f"{timezone.now():%Y-%m-%d %H:%M:%S} {line}" for line in [*steps, end]) + "\n")


def _told(output: str, error: Exception, copy: Path | None) -> str:
    """The step that failed, why, and how to go back."""
    steps = [line.strip().removeprefix("Applying ") for line in output.splitlines() if "Applying " in line]
    step = steps[-1].removesuffix("...").strip() if steps else "the first step"
    applied = [line.removesuffix("... OK") for line in steps if line.endswith("OK")]
    back = (
        f"put the copy from before back: cp {copy} {connection.settings_dict['NAME']}"
        if copy is not None
        else "restore your last backup: python manage.py restore FILE --force"
    )
    look = (
        f"sqlite3 'file:{connection.settings_dict['NAME']}?mode=ro'"
        if connection.vendor == "sqlite"
        else "PGOPTIONS='-c default_transaction_read_only=on' psql \"$DATABASE_URL\""
    )
    done = f" Applied before it: {', '.join(applied)}." if applied else ""
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return (
        f"The migration {step} failed: {reason}.{done} Ferry does not start on a database that is half-way. "
        f"To go back, install the earlier version and {back}. "
        f"To look at the data without changing it: {look}. The steps are in {settings.FERRY_DATA / LOG}."
    )
