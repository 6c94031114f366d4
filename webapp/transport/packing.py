"""Points in an address: short for what was drawn by hand, exact for everything.

``2q.AAAA…`` is a cloud in the plane whose coordinates are thousandths that fit 16 bits; ``3wf.…`` one in space with
weights, in float64. Behind the point stand the numbers, row by row, little-endian, in base64 for addresses.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from workers.inference import BadInput

FORM = re.compile(r"(\d{1,2})(w?)([qf])\.([A-Za-z0-9_-]*)")
STEPS = 1000  # of a unit, for drawn points
WIDTH = {"q": 2, "f": 8}
FURTHEST = 32_767


@dataclass(frozen=True)
class Points:
    """Coordinates, one tuple a point, and weights where they have any."""

    rows: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...] | None = None

    @property
    def dimension(self) -> int:
        """Coordinates of a point; 2 where there is none."""
        return len(self.rows[0]) if self.rows else 2


def pack(points: Points) -> str:
    """The text for an address."""
    rows = [*points.rows]
    if points.weights is not None:
        rows = [(*row, weight) for row, weight in zip(rows, points.weights, strict=True)]
    values = [value for row in rows for value in row]
    drawn = all(abs(value) * STEPS <= FURTHEST and round(value * STEPS) / STEPS == value for value in values)
    kind = "q" if drawn else "f"
    content = (
        struct.pack(f"<{len(values)}h", *(round(value * STEPS) for value in values))
        if drawn
        else struct.pack(f"<{len(values)}d", *values)
    )
    mark = "w" if points.weights is not None else ""
    return f"{points.dimension}{mark}{kind}.{base64.urlsafe_b64encode(content).decode('ascii').rstrip('=')}"


def packed(text: str) -> bool:
    """Whether ``text`` looks like one that :func:`pack` made."""
    return FORM.fullmatch(text.strip()) is not None


def unpack(text: str, field: str) -> Points:
    """The points of such a text. Raises BadInput where it is damaged or cut off."""
    found = FORM.fullmatch(text.strip())
    if found is None:
        raise _damaged(field)
    dimension, weighted, kind = int(found[1]), bool(found[2]), found[3]
    try:
        content = base64.b64decode(found[4] + "=" * (-len(found[4]) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _damaged(field) from None
    width = dimension + weighted
    count, rest = divmod(len(content), WIDTH[kind] * width) if dimension else (0, 1)
    if rest:
        raise _damaged(field)
    numbers = struct.unpack(f"<{count * width}{'h' if kind == 'q' else 'd'}", content)
    values = [number / STEPS for number in numbers] if kind == "q" else list(numbers)
    if not all(math.isfinite(value) for value in values):
        raise _damaged(field)
    rows = [tuple(values[at : at + width]) for at in range(0, len(values), width)]
    if weighted:
        return Points(tuple(row[:-1] for row in rows), tuple(row[-1] for row in rows))
    return Points(tuple(rows))


def in_lines(points: Points) -> str:
    """One point a line, as the coordinates box shows it; a header names the weights where there are any."""
    if not points.rows:
        return ""
    if points.weights is None:
        return "\n".join(_line(row) for row in points.rows)
    header = ", ".join([*(f"x{at + 1}" for at in range(points.dimension)), "weight"])
    lines = [_line((*row, weight)) for row, weight in zip(points.rows, points.weights, strict=True)]
    return "\n".join([header, *lines])


def _line(row: Sequence[float]) -> str:
    return ", ".join(repr(value).removesuffix(".0") for value in row)


def _damaged(field: str) -> BadInput:
    return BadInput(
        "The points in this address are damaged or cut off.",
        field,
        "Open the link again, whole, or draw new points.",
    )
