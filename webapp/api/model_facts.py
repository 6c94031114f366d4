"""Models as JSON: what answers where, a version with all that is known of it, versions side by side."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Q

from webapp.jobs import comparing, places
from workers import comparison, registry
from workers.models import Evaluation, ModelVersion, Promotion


def listing() -> list[dict[str, Any]]:
    """Every area and slot with what answers there now, the shipped model and the versions."""
    return [
        {
            "area": place.area,
            "slot": place.slot,
            "place": place.name,
            "answers": _answers(place),
            "shipped": _shipped(place.card),
            "versions": [line(version, getattr(version, "latest", None)) for version in place.versions],
        }
        for place in places.all_places()
    ]


def line(version: ModelVersion, latest: Evaluation | None) -> dict[str, Any]:
    """A version in short, with the figures of its ``latest`` evaluation."""
    return {
        "id": version.pk,
        "version": version.version,
        "active": version.active,
        "hash": version.hash,
        "bytes": places.size(version),
        "created": version.created,
        "job": str(version.job_id) if version.job_id else None,
        "parent": version.parent_id,
        "metrics": places.figures(latest.metrics) if latest is not None else {},
    }


def full(version: ModelVersion, user: Any) -> dict[str, Any]:
    """A version with card, configuration, lineage, evaluations and history, and what ``user`` may do with it."""
    evaluations = list(version.evaluations.all())
    about = Q(before=version.version) | Q(after=version.version)
    changes = Promotion.objects.filter(about, area=version.area, slot=version.slot)
    children = list(version.children.values_list("pk", flat=True))
    may = ["promote"] if user.has_perm("workers.change_modelversion") and not version.active else []
    free = not version.active and not children
    may += ["delete"] if user.has_perm("workers.delete_modelversion") and free else []
    return {
        **line(version, evaluations[0] if evaluations else None),
        "area": version.area,
        "slot": version.slot,
        "place": version.place,
        "card": version.card,
        "configuration": comparison.configuration(version),
        "children": children,
        "evaluations": [_evaluation(row) for row in evaluations],
        "promotions": [promotion(row) for row in changes],
        "may": may,
    }


def compared(keys: list[str]) -> dict[str, Any]:
    """Versions side by side. Raises NotFound for one that is not there."""
    sides = comparing.sides(keys)
    return {
        "versions": [
            {
                "key": side.key,
                "label": side.label,
                "measured_on": side.measured_on,
                "job": str(side.version.job_id) if side.version.job_id else None,
            }
            for side in sides
        ],
        "metrics": [
            {"source": source, "name": name, "values": values}
            for source, rows in comparing.measured(sides)
            for name, values in rows
        ],
        "parameters": [{"name": name, "values": values} for name, values in comparing.parameters(sides)],
    }


def history(values: dict[str, Any]) -> dict[str, Any]:
    """A page of the changes, the latest first, and what answered at the moment that is asked about."""
    rows = Promotion.objects.filter(**{name: values[name] for name in ("area", "slot") if name in values})
    at: datetime | None = values.get("at")
    served = None
    if at is not None:
        rows = rows.filter(created__lte=at)
        area, slot = values["area"], values.get("slot", "")
        number, sha256 = registry.served_at(area, slot, at)
        served = {"area": area, "slot": slot, "at": at, "version": number, "hash": sha256}
    offset, k = values["offset"], values["k"]
    return {
        "promotions": [promotion(row) for row in rows[offset : offset + k]],
        "total": rows.count(),
        "offset": offset,
        "k": k,
        "served": served,
    }


def promotion(row: Promotion) -> dict[str, Any]:
    """One change."""
    names = ("id", "area", "slot", "before", "before_hash", "after", "after_hash", "who", "why", "evidence")
    return {**{name: getattr(row, name) for name in names}, "created": row.created}


def _evaluation(row: Evaluation) -> dict[str, Any]:
    return {
        "id": row.pk,
        "metrics": row.metrics,
        "data": row.data,
        "command": row.command,
        "job": str(row.job_id) if row.job_id else None,
        "created": row.created,
    }


def _answers(place: places.Place) -> int | None:
    if place.active is not None:
        return place.active.version
    return 0 if place.card is not None else None


def _shipped(card: dict[str, Any] | None) -> dict[str, Any] | None:
    if card is None:
        return None
    return {"hash": str(card.get("sha256", "")), "metrics": places.figures(card.get("metrics") or {})}
