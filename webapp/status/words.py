"""The report of :mod:`workers.status` with its times, ages and sizes in words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

UNITS = ("bytes", "kB", "MB", "GB", "TB")


def readable(report: Mapping[str, Any]) -> dict[str, Any]:
    """The report for the template: what a person reads beside every number."""
    disk = report["disk"]
    backup = report["last_backup"]
    return {
        **report,
        "database": {**report["database"], "size": size(report["database"]["bytes"])},
        "queues": [{**queue, "oldest": ago(queue["oldest_waiting"])} for queue in report["queues"]],
        "workers": [{**worker, "last": ago(worker["silent_for"])} for worker in report["workers"]],
        "disk": {
            **disk,
            "kinds": [{**kind, "size": size(kind["bytes"])} for kind in disk["kinds"]],
            "free_size": size(disk["free"]),
            "total_size": size(disk["total"]),
        },
        "last_backup": backup
        and {
            **backup,
            "size": size(backup["bytes"]),
            "when": datetime.fromisoformat(backup["created"]),
            "ago": ago(backup["age"]),
        },
    }


def size(count: float) -> str:
    """``12 bytes``, ``3.4 MB``: powers of a thousand."""
    unit = 0
    while count >= 999.5 and unit < len(UNITS) - 1:
        count, unit = count / 1000, unit + 1
    return f"{count:.0f} {UNITS[unit]}" if unit == 0 or count >= 99.5 else f"{count:.1f} {UNITS[unit]}"


def ago(seconds: float | None) -> str:
    """``12 s``, ``5 min``, ``3 h``, ``2 days``; nothing for None."""
    if seconds is None:
        return ""
    if seconds < 90:
        return f"{max(seconds, 0):.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 129_600 else f"{seconds / 86_400:.0f} days"
