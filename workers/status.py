"""One page's worth of how this installation stands: for the status page, and as JSON for programs."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Count, Min
from django.utils import timezone

from workers import board, broker, disk, notices, registry, version
from workers.errors import NotFound
from workers.models import Job, Library, ModelVersion, Worker

PACKAGES = ("Django", "torch", "rdkit", "faiss-cpu", "celery", "redis", "psycopg")
LAST_BACKUP = "last_backup.json"


def report(*, private: bool = True) -> dict[str, Any]:
    """Everything as JSON-able values (times as ISO 8601, sizes in bytes, ages in seconds).

    Without ``private`` the settings, hosts and folders are left out: what a trainer sees.
    """
    out: dict[str, Any] = {
        "versions": versions(),
        "database": database(),
        "broker": broker.state(),
        "queues": queues(),
        "workers": workers(),
        "models": models(),
        "libraries": libraries(),
        "disk": disk.usage(),
        "last_backup": last_backup(),
        "notices": notices.channels(),
        "settings": [vars(entry) for entry in settings.FERRY_EFFECTIVE],
        "time": timezone.now().isoformat(),
    }
    if not private:
        del out["settings"], out["database"]["name"]
        out["disk"] = {name: value for name, value in out["disk"].items() if name != "folder"}
        out["last_backup"] = out["last_backup"] and {**out["last_backup"], "file": None}
    return out


def versions() -> dict[str, str | None]:
    """Of Ferry, Python and the packages that matter; None for what is not installed."""
    return {
        "Ferry": version.ferry(),
        "Python": platform.python_version(),
        **{name: version.of(name) for name in PACKAGES},
    }


def database() -> dict[str, Any]:
    """Engine, name, bytes, and the migrations that have not been applied."""
    return {
        "engine": {"sqlite": "SQLite", "postgresql": "PostgreSQL"}.get(connection.vendor, connection.vendor),
        "name": str(connection.settings_dict["NAME"]),
        "bytes": disk.database_bytes(),
        "pending": pending_migrations(),
    }


def pending_migrations() -> list[str]:
    """Migrations that this version has and the database lacks, as ``app.name``."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


def queues() -> list[dict[str, Any]]:
    """For each queue: jobs that wait and run, the age of the oldest that waits, workers that listen, and whether there
    has to be one (none for inference where the web server answers itself)."""
    from workers.celery import QUEUES

    waiting = Job.objects.filter(state=Job.State.QUEUED).values("queue")
    held = Job.objects.filter(state__in=Job.HELD).values("queue").annotate(n=Count("pk"))
    counts = {row["queue"]: row for row in waiting.annotate(n=Count("pk"), first=Min("created"))}
    running = {row["queue"]: row["n"] for row in held}
    now = timezone.now()
    return [
        {
            "queue": name,
            "waiting": counts.get(name, {}).get("n", 0),
            "running": running.get(name, 0),
            "oldest_waiting": (now - counts[name]["first"]).total_seconds() if name in counts else None,
            "workers": board.workers_on(name),
            "needed": name != "inference" or settings.FERRY_INFERENCE == "queue",
        }
        for name in QUEUES
    ]


def workers() -> list[dict[str, Any]]:
    """Worker processes: name, queues, facts, when started and last seen, whether they count as alive."""
    now = timezone.now()
    return [
        {
            "name": row.name,
            "queues": row.queues,
            "facts": row.facts,
            "started": row.started.isoformat(),
            "seen": row.seen.isoformat(),
            "silent_for": (now - row.seen).total_seconds(),
            "alive": row.seen > now - timedelta(seconds=3 * settings.FERRY_SWEEP),
        }
        for row in Worker.objects.all()
    ]


def models() -> list[dict[str, Any]]:
    """What answers in every area and slot: version (0: the shipped one), hash, and whether its files are there."""
    places = set(ModelVersion.objects.values_list("area", "slot"))
    shipped = (card.parent.name.partition("-") for card in settings.FERRY_MODELS.glob("*/card.json"))
    places |= {(area, slot) for area, _, slot in shipped}
    out = []
    for area, slot in sorted(places):
        active = registry.active(area, slot)
        if active.version == 0 and not active.folder.exists():
            continue  # nothing was promoted, and none ships
        try:
            found = str(registry.read_card(active.folder).get("sha256", ""))
        except NotFound:
            found = ""
        out.append(
            {
                "area": area,
                "slot": slot,
                "version": active.version,
                "hash": found,
                "present": bool(found),
            }
        )
    return out


def libraries() -> dict[str, Any]:
    """How many are ready, stale, being imported or failed; the stale ones' ids, and what to do, in words."""
    old = stale_libraries()
    states = dict(Library.objects.order_by().values_list("state").annotate(n=Count("pk")))
    count = len(old)
    return {
        "ready": states.get(Library.State.READY, 0) - count,
        "stale": count,
        "importing": states.get(Library.State.IMPORTING, 0),
        "failed": states.get(Library.State.FAILED, 0),
        "stale_ids": [library.pk for library in old],
        "message": (
            f"{count} {'library was' if count == 1 else 'libraries were'} built by an earlier model: "
            f"rebuild {'it' if count == 1 else 'them'}."
            if count
            else "Every library fits the model in use."
        ),
    }


def stale_libraries() -> list[Library]:
    """Finished libraries that another model built than the one in use; none where it cannot be read."""
    try:
        now = registry.read_card(registry.active("retrieval").folder).get("sha256", "")
    except NotFound:
        return []
    return list(Library.objects.filter(state=Library.State.READY).exclude(model_hash=now).order_by("pk"))


def last_backup() -> dict[str, Any] | None:
    """File, bytes, time and seconds of the last backup that succeeded, and its age in seconds; None without one."""
    try:
        facts = json.loads((settings.FERRY_DATA / LAST_BACKUP).read_text(encoding="utf-8"))
        age = (timezone.now() - datetime.fromisoformat(facts["created"])).total_seconds()
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return {**facts, "age": age}


def troubles(found: Mapping[str, Any]) -> list[str]:
    """What of a report somebody should look at, in words."""
    out = []
    if found["database"]["pending"]:
        names = ", ".join(found["database"]["pending"])
        out.append(f"The database lacks {names}: run python manage.py migrate, or start serve again.")
    if not found["broker"]["reachable"]:
        out.append(found["broker"]["message"])
    out += [
        f"Jobs are waiting on the queue {queue['queue']} and no worker listens to it."
        for queue in found["queues"]
        if (queue["waiting"] or queue["running"]) and not queue["workers"]
    ]
    if found["disk"]["free"] < disk.LITTLE:
        out.append(f"Only {found['disk']['free'] / 1e9:.1f} GB of the disk are free.")
    if any(queue["queue"] == "inference" and queue["needed"] > queue["workers"] for queue in found["queues"]):
        out.append("No inference worker answers, so nothing can be searched.")
    missing = [entry for entry in found["models"] if not entry["present"]]
    out += [f"The files of the model in use for {entry['area']} are gone." for entry in missing]
    if found["libraries"]["stale"]:
        out.append(found["libraries"]["message"])
    return out


def reachable() -> str:
    """Why the database cannot be used, empty where it can."""
    try:
        connection.ensure_connection()
    except DatabaseError as error:
        return str(error).strip().splitlines()[0]
    return ""
