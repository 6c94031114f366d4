"""Versions side by side: figures, parameters that differ, curves over one axis."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from webapp.jobs import curves, places
from webapp.jobs.charts import MOST_LINES, Chart, table
from workers import comparison, history, registry
from workers.inference import BadInput, NotFound
from workers.models import Evaluation, ModelVersion

LEAST = 2
POINT = ("step", "epoch", "seconds", "attempt")


@dataclass(frozen=True)
class Side:
    """One of those compared: a version, or the shipped model of a place as a version that is in no table."""

    key: str
    version: ModelVersion
    evaluation: Evaluation | None

    @property
    def label(self) -> str:
        """What it is called."""
        number = self.version.version
        return f"{self.version.place} {f'v{number}' if number else 'shipped'}"

    @property
    def measured_on(self) -> str:
        """The data of its latest evaluation."""
        if self.evaluation is None:
            return ""
        return ", ".join(str(entry.get("name", "")) for entry in self.evaluation.data)


def sides(keys: Iterable[str]) -> list[Side]:
    """Those that are to be compared. Raises BadInput for fewer than two or too many, NotFound for one that is not."""
    chosen = [_side(key) for key in dict.fromkeys(keys)]
    if not LEAST <= len(chosen) <= MOST_LINES:
        raise BadInput(
            f"From {LEAST} to {MOST_LINES} versions can be compared, and {len(chosen)} are chosen.",
            "v",
            "Tick them in the list of models.",
        )
    return chosen


def _side(key: str) -> Side:
    kind, _, place = key.partition(":")
    if kind != places.SHIPPED:
        version = registry.get(key)
        return Side(key, version, version.evaluations.first())
    area, _, slot = place.partition("/")
    card = places.shipped_card(area, slot)
    if card is None:
        raise NotFound(f"No model ships for '{place[:60]}'.")
    folder = str(registry.shipped(area, slot))
    return Side(key, ModelVersion(area=area, slot=slot, version=0, folder=folder, card=card), None)


def measured(chosen: list[Side]) -> list[tuple[str, list[tuple[str, list[Any]]]]]:
    """Figures by where they come from: the latest evaluation, the card; a row a figure, a column a side."""
    sources = (
        ("Latest evaluation", [places.figures(s.evaluation.metrics) if s.evaluation else {} for s in chosen]),
        ("Card", [places.figures(s.version.card.get("metrics") or {}) for s in chosen]),
    )
    out = []
    for title, found in sources:
        names = dict.fromkeys(name for each in found for name in each)
        if names:
            out.append((title, [(name, [each.get(name) for each in found]) for name in names]))
    return out


def parameters(chosen: list[Side]) -> list[tuple[str, list[Any]]]:
    """Parameters that are not the same in all."""
    return comparison.differences([comparison.configuration(side.version) for side in chosen])


def points_of(chosen: list[Side]) -> dict[str, list[curves.Point]]:
    """What was measured in training, by label, of those whose job is still there."""
    return {
        side.label: list(points)
        for side in chosen
        if side.version.job_id and (points := history.points(side.version.job_id))
    }


def csv_of(chosen: list[Side], metric: str) -> str:
    """One metric of all of them: version, step, epoch, seconds, attempt, value."""
    rows = [
        {"version": label, **{name: point[name] for name in POINT}, metric: point["values"][metric]}
        for label, points in points_of(chosen).items()
        for point in points
        if metric in point["values"]
    ]
    return table(rows, ["version", *POINT, metric])


def charts(chosen: list[Side], x: str) -> tuple[list[Chart], dict[str, str]]:
    """The training curves of those whose job is still there, and the axes they can be drawn over."""
    found = points_of(chosen)
    axes = curves.axes([point for points in found.values() for point in points])
    return curves.overlaid(found, x if x in axes else "step"), axes
