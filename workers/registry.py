"""Which model answers: the promoted version of an (area, slot), otherwise the one that ships with Ferry."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Max

from workers.errors import NotFound
from workers.models import Job, ModelVersion


@dataclass(frozen=True)
class Active:
    """The model in use: its folder, and the version's row number, 0 for the shipped one."""

    folder: Path
    version: int


def active(area: str, slot: str = "") -> Active:
    """The model that is in use for ``area`` and ``slot``."""
    row = ModelVersion.objects.filter(area=area, slot=slot, active=True).first()
    if row is not None:
        return Active(resolve(row.folder), row.version)
    name = f"{area}-{slot}" if slot else area
    return Active(settings.FERRY_MODELS / name, 0)


def resolve(folder: str) -> Path:
    """A version's folder; relative ones lie under FERRY_DATA, so that the data folder can move."""
    path = Path(folder)
    return path if path.is_absolute() else settings.FERRY_DATA / path


def register(area: str, slot: str, folder: Path, job: Job | None = None) -> ModelVersion:
    """Enter a finished model folder as the next version, not yet active. Raises NotFound without a ``card.json``."""
    card = read_card(folder)
    inside = folder.is_relative_to(settings.FERRY_DATA)
    stored = str(folder.relative_to(settings.FERRY_DATA) if inside else folder)
    with transaction.atomic():
        rows = ModelVersion.objects.filter(area=area, slot=slot)
        version = (rows.aggregate(last=Max("version"))["last"] or 0) + 1
        return ModelVersion.objects.create(
            area=area,
            slot=slot,
            version=version,
            folder=stored,
            hash=str(card.get("sha256", "")),
            card=card,
            job=job,
        )


def promote(version: ModelVersion) -> None:
    """Make ``version`` the active one of its area and slot; the one before stays for rolling back."""
    with transaction.atomic():
        rows = ModelVersion.objects.select_for_update().filter(area=version.area, slot=version.slot)
        rows.filter(active=True).update(active=False)
        rows.filter(pk=version.pk).update(active=True)
    version.refresh_from_db()


def retire(area: str, slot: str = "") -> None:
    """Go back to the model that ships with Ferry."""
    ModelVersion.objects.filter(area=area, slot=slot, active=True).update(active=False)


def read_card(folder: Path) -> dict[str, Any]:
    """The card of a model folder. Raises NotFound when there is none or it cannot be read."""
    try:
        card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise NotFound(f"{folder} is no model folder: its card.json cannot be read ({error}).") from error
    if not isinstance(card, dict):
        raise NotFound(f"{folder} is no model folder: its card.json holds no object.")
    return card
