"""From what a job measured to charts: which metrics share one, what is on the axis, where a gap is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from webapp.jobs.charts import MOST_LINES, MOST_POINTS, Chart, Line, table
from webapp.jobs.templatetags.work import duration, figure
from workers import board, history
from workers.models import Job

#: x axes: what each is called in an address, in words, and where a point has it
AXES = {"step": "steps", "epoch": "epochs", "time": "time"}
FIELDS = {"step": "step", "epoch": "epoch", "time": "seconds"}
UNITS = (
    (86_400.0 * 2, 86_400.0, "days"),
    (7200.0, 3600.0, "hours"),
    (180.0, 60.0, "minutes"),
    (0.0, 1.0, "seconds"),
)
_BREAK = re.compile(r"[/. _@]")
Point = Mapping[str, Any]


@dataclass(frozen=True)
class Axis:
    """An x axis: its name, its title with the unit, and what a point's value is divided by."""

    name: str
    title: str
    unit: float = 1.0

    def of(self, point: Point) -> float | None:
        """Where a point stands; None where it has no such value."""
        value = point[FIELDS[self.name]]
        return None if value is None else value / self.unit


def axis(name: str, points: Sequence[Point]) -> Axis:
    """The axis called ``name`` (steps for an unknown one), time in the unit that suits the longest."""
    if name == "time":
        longest = max((point["seconds"] for point in points), default=0.0)
        _, unit, word = next(entry for entry in UNITS if longest >= entry[0])
        return Axis("time", f"{word} of work", unit)
    return Axis("epoch", "epoch") if name == "epoch" else Axis("step", "step")


def axes(points: Sequence[Point]) -> dict[str, str]:
    """The axes that these points can be drawn over, with their words."""
    dated = any(point["epoch"] is not None for point in points)
    return {name: words for name, words in AXES.items() if name != "epoch" or dated}


def groups(names: Sequence[str]) -> dict[str, list[str]]:
    """Metrics by chart: those that begin with the same word share one, up to the most lines of a chart."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(_BREAK.split(name)[0], []).append(name)
    out: dict[str, list[str]] = {}
    for prefix, members in found.items():
        for start in range(0, len(members), MOST_LINES):
            part = members[start : start + MOST_LINES]
            label = part[0] if len(part) == 1 else _shared(part) or prefix
            out[label if not start else f"{label} {start // MOST_LINES + 1}"] = part
    return out


def _shared(names: Sequence[str]) -> str:
    """The words that all names begin with: ``held_out`` of ``held_out_gap`` and ``held_out_l2``."""
    common = names[0]
    while not all(name.startswith(common) for name in names):
        common = common[:-1]
    ends = [found.start() for found in _BREAK.finditer(common)]
    return common if common in names else common[: ends[-1]] if ends else ""


def runs(points: Sequence[Point], metric: str, along: Axis) -> tuple[tuple[tuple[float, float], ...], ...]:
    """The points of a metric along an axis, one run an attempt."""
    kept = [
        (point["attempt"], (x, point["values"][metric]))
        for point in points
        if metric in point["values"] and (x := along.of(point)) is not None
    ]
    kept = list(board.thinned(kept, MOST_POINTS))  # type: ignore[arg-type]
    return tuple(tuple(place for _, place in run) for _, run in groupby(kept, key=lambda entry: entry[0]))


def charts(points: Sequence[Point], x: str = "step") -> list[Chart]:
    """One chart for each group of metrics."""
    along = axis(x, points)
    out = []
    for title, members in groups(history.metrics(points)).items():
        lines = tuple(Line(name, runs(points, name, along)) for name in members)
        lines = tuple(line for line in lines if line.last is not None)
        if lines:
            out.append(Chart(title, title, along.title, lines, _words(lines, along)))
    return out


def of_job(job: Job, x: str = "step") -> tuple[list[Chart], dict[str, str], Sequence[Point]]:
    """A job's charts, the axes it can be drawn over, and its points as they are stored."""
    points = history.points(job.pk)
    return charts(points, x), axes(points), points


def overlaid(jobs: Mapping[str, Sequence[Point]], x: str = "step") -> list[Chart]:
    """One chart a metric with a line for each of several jobs, given by what to call it."""
    along = axis(x, [point for points in jobs.values() for point in points])
    names = dict.fromkeys(name for points in jobs.values() for name in history.metrics(points))
    out = []
    for metric in names:
        lines = tuple(Line(label, runs(points, metric, along)) for label, points in jobs.items())
        lines = tuple(line for line in lines if line.last is not None)
        if lines:
            out.append(Chart(metric, metric, along.title, lines, _words(lines, along, metric)))
    return out


def csv_of(points: Sequence[Point], members: Sequence[str]) -> str:
    """The points that have any of ``members``: step, epoch, seconds, attempt, then the metrics."""
    rows = [
        {
            "step": p["step"],
            "epoch": p["epoch"],
            "seconds": p["seconds"],
            "attempt": p["attempt"],
            **p["values"],
        }
        for p in points
        if any(name in p["values"] for name in members)
    ]
    return table(rows, ["step", "epoch", "seconds", "attempt", *members])


def _words(lines: Sequence[Line], along: Axis, metric: str = "") -> str:
    """A chart in one sentence a line: where it ends, and where it was taken up again."""
    said = []
    for line in lines:
        assert line.last is not None
        x, y = line.last
        name = f"{metric} of {line.name}" if metric else line.name
        again = (
            f", taken up again at {', '.join(_place(gap, along) for gap in line.gaps)}" if line.gaps else ""
        )
        said.append(f"{name}: {figure(y)} at {_place(x, along)}{again}")
    return ". ".join(said) + "."


def _place(x: float, along: Axis) -> str:
    return duration(x * along.unit) if along.name == "time" else f"{along.name} {figure(x)}"
