"""What is wrong with this installation, and what to do: rows without files, files without rows, and the rest.

Files are listed before rows are asked for, so that what appears meanwhile is never taken for an orphan.
``repair`` removes only what nobody can want: it never touches what an open job needs, and never a finished model or
library, even without a row, because the row may be in a backup.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import Q
from django.utils import timezone

from workers import board, broker, disk, guards, jobs, kinds, leftovers, registry, status
from workers.errors import NotFound
from workers.models import Job, Library, ModelVersion

FAULT, NOTE = "fault", "note"
MOST_NAMED = 20
HIDDEN_NAMES = r"FERRY_\w+_(KEY|SECRET|TOKEN|PASSWORD)"
OLD_BACKUP = timedelta(days=7)


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be.

    ``level`` is *fault* or *note* (worth knowing, nothing is broken). ``remove`` are paths that nobody can want.
    """

    message: str
    remedy: str = ""
    level: str = FAULT
    items: tuple[str, ...] = ()
    remove: tuple[Path, ...] = ()


@dataclass
class Result:
    """What one check found, and what was done about it."""

    check: str
    findings: list[Finding] = field(default_factory=list)
    done: list[str] = field(default_factory=list)

    @property
    def fine(self) -> bool:
        """Whether nothing is broken."""
        return not any(finding.level == FAULT for finding in self.findings)


def examine(*, repair: bool = False) -> dict[str, Any]:
    """Run every check: ``{"fine", "checks": [{"check", "fine", "findings", "done"}], "versions", "settings"}``.

    With ``repair`` what was found is mended where that is safe, and looked at again.
    """
    results = []
    for name, check, mend in CHECKS:
        result = Result(name, list(_run(check)))
        if repair and result.findings:
            result.done = _remove(result.findings) + (mend() if mend is not None else [])
            if result.done:
                result.findings = list(_run(check))
        results.append(result)
        if name == "database" and not result.fine:
            break  # nothing else can be known
    return _without_secrets(
        {
            "fine": all(result.fine for result in results),
            "checks": [_told(result) for result in results],
            "versions": status.versions(),
            "settings": [vars(entry) for entry in settings.FERRY_EFFECTIVE if entry.origin != "default"],
        }
    )


def _run(check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from check()
    except DatabaseError as error:
        yield Finding(f"This could not be looked at: {str(error).strip().splitlines()[0]}.", "Migrate first.")


def _told(result: Result) -> dict[str, Any]:
    findings = [
        {name: value for name, value in asdict(finding).items() if name != "remove"}
        for finding in result.findings
    ]
    return {"check": result.check, "fine": result.fine, "findings": findings, "done": result.done}


def _remove(findings: list[Finding]) -> list[str]:
    done = []
    for path in (path for finding in findings for path in finding.remove):
        freed = disk.size(path)
        if path.is_dir():
            leftovers.discard(path)
        else:
            path.unlink(missing_ok=True)
        if not path.exists():
            done.append(f"removed {path.relative_to(settings.FERRY_DATA)} ({freed / 1e6:,.1f} MB)")
    return done


def check_database() -> Iterator[Finding]:
    """Whether it answers and has every table."""
    if why := status.reachable():
        yield Finding(f"The database cannot be reached: {why}.", "Check DATABASE_URL and the server.")
        return
    if pending := status.pending_migrations():
        yield Finding(
            "The database lacks migrations.",
            "Take a backup, then run python manage.py migrate (serve does it at start).",
            items=tuple(pending),
        )


def check_guards() -> Iterator[Finding]:
    """Whether the database holds to the rules of the records."""
    wanted = {"job_transition"}
    for table in guards.APPEND_ONLY:
        ends = ("no_update", "no_delete") if connection.vendor == "sqlite" else ("only_grows",)
        wanted |= {f"{table}_{end}" for end in ends}
    asked = {
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
        "postgresql": "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D'",
    }
    with connection.cursor() as cursor:
        cursor.execute(asked[connection.vendor])
        laid = {row[0] for row in cursor.fetchall()}
    if missing := wanted - laid:
        yield Finding(
            "Triggers that keep the histories whole are not laid.",
            "Run doctor --fix, or python manage.py migrate.",
            items=tuple(sorted(missing)),
        )


def mend_guards() -> list[str]:
    """Lay the triggers."""
    guards.install()
    return ["laid the triggers"]


def check_models() -> Iterator[Finding]:
    """Whether every registered model is there and is the one that was registered, and something answers."""
    for row in ModelVersion.objects.all():
        try:
            found = str(registry.read_card(registry.resolve(row.folder)).get("sha256", ""))
        except NotFound:
            yield Finding(f"The files of {row} are gone: {row.folder}.", _remedy(row))
            continue
        if found != row.hash:
            yield Finding(
                f"The card of {row} names {found[:12] or 'no hash'}, its row {row.hash[:12]}.", _remedy(row)
            )
    if settings.FERRY_INFERENCE == "local" and not registry.active("retrieval").folder.exists():
        yield Finding("There is no retrieval model, so nothing can be searched.", "Set FERRY_MODELS.")


def _remedy(row: ModelVersion) -> str:
    if row.active:
        return "Roll back in /admin/, or restore a backup: this version is in use."
    return "Restore a backup, or delete the version."


def check_libraries() -> Iterator[Finding]:
    """Whether every finished library has its files."""
    for row in Library.objects.filter(state=Library.State.READY):
        if not (row.folder / "manifest.json").exists():
            yield Finding(
                f"The files of the library {row.pk} are gone.",
                "Restore a backup, or delete it and import again.",
            )
    if old := status.stale_libraries():
        yield Finding(
            status.libraries()["message"],
            "python manage.py rebuild",
            NOTE,
            tuple(library.pk for library in old)[:MOST_NAMED],
        )


def check_orphans() -> Iterator[Finding]:
    """Files that no row knows: left by a process that was killed between row and file, or of another database."""
    folders = _inside("jobs")
    known = {str(pk) for pk in Job.objects.values_list("pk", flat=True)}
    homes = [registry.resolve(folder) for folder in ModelVersion.objects.values_list("folder", flat=True)]
    lost = [path for path in folders if path.name not in known and not _home(path, homes)]
    yield from _orphans("jobs", lost, lambda path: _is_key(path.name) and not any(path.rglob("card.json")))
    yield from _orphans("jobs", sorted((settings.FERRY_DATA / "jobs").glob("*/*.deleted-*")), lambda _: True)
    shelves = [path for path in _inside("libraries") if not path.name.endswith(leftovers.BUILDING)]
    rows = set(Library.objects.values_list("pk", flat=True))
    lost = [path for path in shelves if path.name not in rows]
    yield from _orphans("libraries", lost, lambda path: not (path / "manifest.json").exists())


def _orphans(kind: str, lost: list[Path], worthless: Callable[[Path], bool]) -> Iterator[Finding]:
    """What no row knows: what nobody can want apart from what somebody has to look at."""
    if gone := [path for path in lost if worthless(path)]:
        yield Finding(
            f"{len(gone)} folders in {kind}/ belong to nothing.",
            "doctor --fix removes them.",
            items=tuple(path.name for path in gone)[:MOST_NAMED],
            remove=tuple(gone),
        )
    if kept := [path for path in lost if not worthless(path)]:
        yield Finding(
            f"{len(kept)} folders in {kind}/ hold finished work that no row knows.",
            "If the right database is in use (see settings), look at them, then delete them by hand.",
            items=tuple(path.name for path in kept)[:MOST_NAMED],
        )


def check_leftovers() -> Iterator[Finding]:
    """Half-built libraries and uploads that nothing will go on with; the sweeper removes them after a day."""
    halves = {
        path.name.removesuffix(leftovers.BUILDING): path
        for path in _inside("libraries")
        if path.name.endswith(leftovers.BUILDING)
    }
    brought = {path.name: path for path in _inside("uploads")}
    needed = _wanted("library", list(halves)), _wanted("upload", list(brought))
    idle = [path for name, path in halves.items() if name not in needed[0]]
    idle += [path for name, path in brought.items() if name not in needed[1]]
    if idle:
        yield Finding(
            f"{len(idle)} half-built libraries or uploads wait for nothing.",
            "They are removed by themselves a day after their last change; doctor --fix does it then too.",
            NOTE,
            tuple(path.name for path in idle)[:MOST_NAMED],
        )


def mend_leftovers() -> list[str]:
    """Clear what is old enough, as the sweeper does."""
    count = leftovers.clear()
    return [f"cleared {count} uploads and half-built libraries"] if count else []


def _wanted(parameter: str, names: list[str]) -> set[str]:
    """Those of ``names`` that an open job has, or one that can be tried again."""
    of_jobs = Q(state__in=(*Job.OPEN, *Job.RESUMABLE)) & Q(**{f"parameters__{parameter}__in": names})
    return set(Job.objects.filter(of_jobs).values_list(f"parameters__{parameter}", flat=True))


def check_jobs() -> Iterator[Finding]:
    """Jobs that somebody holds without a sign of life."""
    silent = Job.objects.filter(state__in=Job.HELD, lease_until__lt=timezone.now())
    if found := [str(job) for job in silent]:
        yield Finding(
            f"{len(found)} jobs are held by workers that went silent.",
            "A running worker takes them up again; doctor --fix puts them back into the queue.",
            items=tuple(found[:MOST_NAMED]),
        )


def mend_jobs() -> list[str]:
    """Put them back into the queue."""
    rung = jobs.sweep()
    return [f"swept: rang for {rung} jobs"]


def check_broker() -> Iterator[Finding]:
    """Whether bells can be rung."""
    found = broker.state()
    if not found["reachable"]:
        yield Finding(found["message"], "Check REDIS_URL, or the rights of FERRY_DATA.")
    if settings.FERRY_INFERENCE == "queue" and not settings.REDIS_URL:
        yield Finding("FERRY_INFERENCE=queue needs Redis.", "Set REDIS_URL.")


def check_workers() -> Iterator[Finding]:
    """Whether somebody listens to every queue that is used."""
    used = {kind.queue for kind in kinds.KINDS.values()}
    used |= {"inference"} if settings.FERRY_INFERENCE == "queue" else set()
    for queue in sorted(used):
        if board.workers_on(queue):
            continue
        waiting = Job.objects.filter(queue=queue, state__in=Job.OPEN).count()
        told = f" and {waiting} jobs wait there" if waiting else ""
        yield Finding(
            f"No worker listens to the queue {queue}{told}.",
            "Start Ferry (make serve), or a worker: see docs/operations.md.",
            FAULT if waiting or queue == "inference" else NOTE,
        )


def check_disk() -> Iterator[Finding]:
    """Whether there is room, and whether it can be written to."""
    free = shutil.disk_usage(settings.FERRY_DATA).free
    if free < disk.LITTLE:
        yield Finding(
            f"{free / 1e9:.1f} GB are free where FERRY_DATA is.",
            "Delete models, jobs or libraries that are not needed; /status/ shows what takes room.",
            FAULT if free < disk.TOO_LITTLE else NOTE,
        )
    probe = settings.FERRY_DATA / ".probe"
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        yield Finding(
            f"FERRY_DATA cannot be written: {error.strerror}.", "Give it to the user Ferry runs as."
        )


def check_backup() -> Iterator[Finding]:
    """Whether there is a backup, and how old it is."""
    last = status.last_backup()
    if last is None:
        yield Finding("No backup was ever made here.", "python manage.py backup FILE", NOTE)
    elif last["age"] > OLD_BACKUP.total_seconds():
        days = last["age"] / 86_400
        yield Finding(f"The last backup is {days:.0f} days old.", "python manage.py backup FILE", NOTE)


CHECKS: tuple[tuple[str, Callable[[], Iterator[Finding]], Callable[[], list[str]] | None], ...] = (
    ("database", check_database, None),
    ("triggers", check_guards, mend_guards),
    ("models", check_models, None),
    ("libraries", check_libraries, None),
    ("files without a row", check_orphans, None),
    ("leftovers", check_leftovers, mend_leftovers),
    ("silent jobs", check_jobs, mend_jobs),
    ("broker", check_broker, None),
    ("workers", check_workers, None),
    ("disk", check_disk, None),
    ("backup", check_backup, None),
)


def _inside(name: str) -> list[Path]:
    folder = settings.FERRY_DATA / name
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.exists() else []


def _home(folder: Path, models: list[Path]) -> bool:
    return any(path.is_relative_to(folder) for path in models)


def _is_key(name: str) -> bool:
    try:
        UUID(name)
    except ValueError:
        return False
    return True


def _without_secrets(report: Any) -> Any:
    """The report with every secret that the settings hold blotted out, wherever it came in (an error may repeat it)."""
    hidden = [value for value in _secrets() if len(value) > 3]

    def clean(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: clean(entry) for name, entry in value.items()}
        if isinstance(value, list | tuple):
            return [clean(entry) for entry in value]
        if isinstance(value, str):
            for secret in hidden:
                value = value.replace(secret, "…")
        return value

    return clean(report)


def _secrets() -> Iterator[str]:
    from urllib.parse import unquote, urlsplit

    yield settings.SECRET_KEY
    yield settings.FERRY_WEBHOOK_SECRET
    yield from (value for name, value in os.environ.items() if re.fullmatch(HIDDEN_NAMES, name))
    yield settings.EMAIL_HOST_PASSWORD
    yield str(settings.DATABASES["default"].get("PASSWORD") or "")
    for address in (settings.REDIS_URL, settings.VECTOR_STORE):
        password = urlsplit(address).password or ""
        yield from {password, unquote(password)}
    yield urlsplit(settings.FERRY_WEBHOOK).path.strip("/")
