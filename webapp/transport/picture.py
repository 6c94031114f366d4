"""Clouds and plan as a picture: points over a grid, links as lines, in pixels of one drawing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WIDTH, HEIGHT = 720, 540
EMPTY_BOX = (-2.0, -1.5, 2.0, 1.5)
MARGIN = 0.08
MOST_POINTS = 1_500
FAINTEST = 0.12
CORNER = 0.06


@dataclass(frozen=True)
class Dot:
    """A point: its place and half size in pixels, and what it says."""

    index: int
    x: float
    y: float
    r: float
    title: str

    @property
    def side(self) -> float:
        """Of the square that is as large as the circle."""
        return 1.8 * self.r

    @property
    def corner_x(self) -> float:
        """Left edge of that square."""
        return self.x - self.side / 2

    @property
    def corner_y(self) -> float:
        """Its upper edge."""
        return self.y - self.side / 2


@dataclass(frozen=True)
class Line:
    """A link between two points; ``strength`` 0..1 is its opacity."""

    source: int
    target: int
    x1: float
    y1: float
    x2: float
    y2: float
    strength: float


@dataclass(frozen=True)
class Tick:
    """A line of the grid."""

    at: float
    label: str


@dataclass(frozen=True)
class View:
    """From coordinates to pixels: ``px = (x - left) * scale``, ``py = (top - y) * scale``."""

    left: float
    top: float
    scale: float

    def place(self, point: Sequence[float]) -> tuple[float, float]:
        """Pixels of a point."""
        return round((point[0] - self.left) * self.scale, 1), round((self.top - point[1]) * self.scale, 1)


@dataclass(frozen=True)
class Board:
    """Everything that the template draws."""

    view: View
    source: tuple[Dot, ...]
    target: tuple[Dot, ...]
    lines: tuple[Line, ...]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    left_out: int  # points that are not drawn

    @property
    def width(self) -> int:
        """Pixels."""
        return WIDTH

    @property
    def height(self) -> int:
        """Pixels."""
        return HEIGHT


def board(
    source: Mapping[str, Any], target: Mapping[str, Any], links: Sequence[Sequence[float]] = ()
) -> Board:
    """The picture of two clouds (``points``, ``weights``) and the links ``[row, column, mass]`` between them."""
    view = _view([*source["points"], *target["points"]])
    strongest = max((mass for _, _, mass in links), default=0.0)
    places = {
        side: [view.place(point) for point in cloud["points"]]
        for side, cloud in (("s", source), ("t", target))
    }
    lines = [
        Line(
            int(row),
            int(column),
            *places["s"][int(row)],
            *places["t"][int(column)],
            round(max(FAINTEST, 0.85 * math.sqrt(mass / strongest)), 2),
        )
        for row, column, mass in reversed(links)
    ]
    left_out = sum(max(0, len(cloud["points"]) - MOST_POINTS) for cloud in (source, target))
    return Board(
        view,
        _dots(source, places["s"], "source"),
        _dots(target, places["t"], "target"),
        tuple(lines),
        tuple(_ticks(view.left, WIDTH / view.scale, lambda value: (value - view.left) * view.scale)),
        tuple(
            _ticks(
                view.top - HEIGHT / view.scale,
                HEIGHT / view.scale,
                lambda value: (view.top - value) * view.scale,
            )
        ),
        left_out,
    )


def _view(points: Sequence[Sequence[float]]) -> View:
    """All points with a margin; the usual box where they fit it without being lost in it."""
    left, bottom, right, top = EMPTY_BOX
    if points:
        low = [min(point[axis] for point in points) for axis in (0, 1)]
        high = [max(point[axis] for point in points) for axis in (0, 1)]
        inside = low[0] >= left and low[1] >= bottom and high[0] <= right and high[1] <= top
        reach = max((high[0] - low[0]) / (right - left), (high[1] - low[1]) / (top - bottom))
        if not inside or 0 < reach < 0.25:
            extent = max(high[0] - low[0], (high[1] - low[1]) * WIDTH / HEIGHT) or max(1e-3, abs(high[0]))
            pad = MARGIN * extent
            left, bottom, right, top = low[0] - pad, low[1] - pad, high[0] + pad, high[1] + pad
    scale = min(WIDTH / (right - left), HEIGHT / (top - bottom))
    middle = ((left + right) / 2, (bottom + top) / 2)
    return View(middle[0] - WIDTH / scale / 2, middle[1] + HEIGHT / scale / 2, scale)


def _dots(cloud: Mapping[str, Any], places: Sequence[tuple[float, float]], name: str) -> tuple[Dot, ...]:
    count = len(places)
    size = 5.0 if count <= 100 else 3.6 if count <= 400 else 2.4
    out = []
    for index, (place, point, share) in enumerate(
        zip(places[:MOST_POINTS], cloud["points"], cloud["weights"], strict=False)
    ):
        r = round(min(3.2, max(0.45, math.sqrt(share * count))) * size, 1)
        out.append(
            Dot(index, *place, r, f"{name} {index + 1}: ({point[0]:.4g}, {point[1]:.4g}), mass {share:.4g}")
        )
    return tuple(out)


def _ticks(start: float, length: float, place: Any) -> list[Tick]:
    """Four to nine round values."""
    rough = length / 6
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first = math.ceil(start / step)
    values = [number * step for number in range(first, math.floor((start + length) / step) + 1)]
    free = start + CORNER * length  # where the labels of both axes would meet, neither is written
    return [
        Tick(round(place(value), 1), f"{value:.6g}".replace("-", "−") if value > free else "")
        for value in values
    ]
