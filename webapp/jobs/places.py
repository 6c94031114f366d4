"""What answers where: every area and slot, the shipped model, the versions, the changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings

from workers import disk, registry
from workers.inference import NotFound
from workers.models import Evaluation, ModelVersion, Promotion

SHIPPED = "shipped"


@dataclass
class Place:
    """One area and slot: the shipped model's card where there is one, its versions, its promotions."""

    area: str
    slot: str
    card: dict[str, Any] | None
    versions: list[ModelVersion] = field(default_factory=list)
    promotions: list[Promotion] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Area and slot as one word."""
        return f"{self.area}/{self.slot}" if self.slot else self.area

    @property
    def active(self) -> ModelVersion | None:
        """The version that answers; None where the shipped model does."""
        return next((version for version in self.versions if version.active), None)

    @property
    def shipped_key(self) -> str:
        """How the shipped model is named in a comparison."""
        return f"{SHIPPED}:{self.name}"


def all_places() -> list[Place]:
    """Every area and slot that anything is known of, sorted; three queries however many there are."""
    found: dict[tuple[str, str], Place] = {}

    def place(area: str, slot: str) -> Place:
        if (area, slot) not in found:
            found[area, slot] = Place(area, slot, shipped_card(area, slot))
        return found[area, slot]

    for path in settings.FERRY_MODELS.glob("*/card.json"):
        area, _, slot = path.parent.name.partition("-")
        place(area, slot)
    latest = {row.version_id: row for row in Evaluation.objects.order_by("created", "id")}
    for version in ModelVersion.objects.select_related("job", "parent"):
        version.latest = latest.get(version.pk)
        place(version.area, version.slot).versions.append(version)
    for promotion in Promotion.objects.all():
        place(promotion.area, promotion.slot).promotions.append(promotion)
    return [found[key] for key in sorted(found)]


def shipped_card(area: str, slot: str) -> dict[str, Any] | None:
    """The card of the model that ships for a place; None where none does."""
    try:
        return registry.read_card(registry.shipped(area, slot))
    except NotFound:
        return None


def size(version: ModelVersion) -> int:
    """Bytes of a version's folder, which is never changed once it is registered."""
    return _size(registry.resolve(version.folder))


@lru_cache(maxsize=1024)
def _size(folder: Path) -> int:
    return disk.size(folder)


def figures(values: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """All numbers of nested values by dotted name."""
    out: dict[str, float] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            out |= figures(value, f"{prefix}{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            out[prefix + str(name)] = value
    return out
