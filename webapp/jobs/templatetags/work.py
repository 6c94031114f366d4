"""How times, sizes, figures and states of jobs are written on the page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from webapp.transport.templatetags.lab import significant

register = template.Library()

SIGNS = {
    "queued": "○",
    "starting": "◔",
    "running": "▶",
    "stopping": "◩",
    "done": "✓",
    "failed": "✕",
    "stopped": "■",
    "lost contact": "⚠",
    "lost": "?",
}


@register.filter
def figure(value: Any) -> str:
    """A figure with five significant digits; counts in full; what is no number as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "—" if value is None or value == "" else str(value)
    return significant(int(value) if float(value).is_integer() and abs(value) < 1e15 else value)


@register.filter
def duration(seconds: Any) -> str:
    """``8 s``, ``3 min 20 s``, ``2 h 5 min``, ``3 d 4 h``; an em dash where there is none."""
    if seconds is None or seconds == "":
        return "—"
    whole = max(0, round(float(seconds)))
    for big, small, size, part in (("d", "h", 86_400, 3600), ("h", "min", 3600, 60), ("min", "s", 60, 1)):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {big}" + (f" {rest} {small}" if rest else "")
    return f"{whole} s"


@register.filter
def moment(value: datetime | None) -> SafeString | str:
    """A time of this installation, to the minute, with the exact one for machines and on hovering."""
    if value is None:
        return "—"
    local = timezone.localtime(value)
    today = local.date() == timezone.localtime().date()
    shown = local.strftime("%H:%M" if today else "%-d %b %Y, %H:%M")
    exact = local.strftime("%Y-%m-%d %H:%M:%S %Z")
    return format_html('<time datetime="{}" title="{}">{}</time>', local.isoformat(), exact, shown)


@register.filter
def size(bytes_: Any) -> str:
    """``512 B``, ``3.4 kB``, ``1.2 GB``."""
    value = float(bytes_ or 0)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5 or unit == "GB":
            return f"{value:,.0f} {unit}" if unit == "B" or value >= 99.95 else f"{value:,.1f} {unit}"
        value /= 1000
    raise AssertionError


@register.filter
def sign(standing: str) -> str:
    """A mark for a state, so that colour is never all that tells."""
    return SIGNS.get(standing, "·")


@register.filter
def slug(standing: str) -> str:
    """A state as the name of a class."""
    return standing.replace(" ", "-")


@register.filter
def written(value: Any) -> str:
    """A parameter as it would be typed."""
    if isinstance(value, str):
        return value
    return "—" if value is None else json.dumps(value, ensure_ascii=False)


@register.filter
def lookup(mapping: Mapping[str, Any], name: str) -> Any:
    """``mapping[name]``, None when missing."""
    return mapping.get(name)


@register.inclusion_tag("jobs/_state.html")
def state(standing: str) -> dict[str, str]:
    """A state in its word, with its mark and its colour."""
    return {"standing": standing}


@register.inclusion_tag("jobs/_progress.html")
def progress(job: Mapping[str, Any]) -> dict[str, Any]:
    """How far a job is, as a bar and in numbers."""
    total, done = job["total"], job["done"]
    share = min(100, 100 * done / total) if total else (100 if job["state"] == "done" else None)
    moving = job["state"] in ("running", "stopping")
    return {"done": done, "total": total, "share": share, "moving": moving, "state": job["state"]}


@register.filter
def is_list(value: Any) -> bool:
    """Whether a value is a list, so that it is written as one."""
    return isinstance(value, list | tuple)
