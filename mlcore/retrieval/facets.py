"""How the hits of a search are spread: a histogram of every number, counts of every category and library."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from mlcore.retrieval.candidates import Candidate
from mlcore.retrieval.shelf import NUMBERS, Shelf

#: bars of a histogram, those for the two tails included
BARS = 16
#: the share of all values at either end that a tail may hold
TAIL = 0.02
#: the finest bars of numbers that are not whole
_FINEST = 0.001
_WHOLE = frozenset({"hbd", "hba", "rings", "charge", "stereocentres", "heavy_atoms", "rotatable"})


def facets(candidates: Sequence[Candidate], shelves: Sequence[Shelf]) -> dict[str, Any]:
    """``{"total", "numbers", "categories", "libraries"}`` over all ``candidates``, not over one page.

    ``numbers``: ``[{"name", "min", "max", "edges", "counts"}]`` in the order of :data:`NUMBERS`, where
    ``counts[i]`` molecules lie from ``edges[i]`` up to, not including, ``edges[i + 1]`` (the last bar has its
    end). ``categories``: counts by name, the largest first. ``libraries``: ``[{"id", "name", "count"}]`` for
    all ``shelves``; a molecule that several hold counts in each.
    """
    owners = np.fromiter((c.shelf for c in candidates), np.int64, len(candidates))
    rows_of_all = np.fromiter((c.row for c in candidates), np.int64, len(candidates))
    found = [(shelf, rows_of_all[owners == place]) for place, shelf in enumerate(shelves)]
    numbers = []
    for name in NUMBERS if candidates else ():
        values = np.concatenate([shelf.columns[name][rows] for shelf, rows in found])
        edges = bars(values, whole=name in _WHOLE)
        counts = np.bincount(np.searchsorted(edges[1:-1], values, side="right"), minlength=len(edges) - 1)
        least, most = (round(float(end), 4) for end in (values.min(), values.max()))
        numbers.append(
            {"name": name, "min": least, "max": most, "edges": edges, "counts": [int(n) for n in counts]}
        )
    categories = Counter(name for shelf, rows in found for name in shelf.categories[rows].tolist() if name)
    held = Counter({shelf.library.id: len(rows) for shelf, rows in found})
    held.update(name for c in candidates if c.also_in for name in c.also_in)
    return {
        "total": len(candidates),
        "numbers": numbers,
        "categories": dict(sorted(categories.items(), key=lambda pair: (-pair[1], pair[0]))),
        "libraries": [
            {"id": shelf.library.id, "name": shelf.library.name, "count": held[shelf.library.id]}
            for shelf in shelves
        ],
    }


def bars(values: np.ndarray, *, whole: bool) -> list[float]:
    """The edges of a histogram of ``values`` (n,), n > 0: ascending, round numbers, :data:`BARS` bars at most.

    Bars are equally wide but for the first and the last, which reach out to the least and the greatest value
    where less than :data:`TAIL` of all lies beyond. ``whole`` values get bars between whole numbers.
    """
    least, most = float(values.min()), float(values.max())
    low, high = least, most
    if not whole or most - least >= BARS:
        ends = [round(share * (len(values) - 1)) for share in (TAIL, 1 - TAIL)]
        low, high = (float(end) for end in np.partition(values, ends)[ends])
    step = _round_step((high - low) / (BARS - 4), whole=whole)
    first, last = math.floor(low / step), math.floor(high / step) + 1
    edges = [step * place for place in range(first, last + 1)]
    if least < edges[0]:
        edges.insert(0, _down(least, whole))
    if most > edges[-1] or (whole and most == edges[-1]):
        edges.append(math.floor(most) + 1.0 if whole else -_down(-most, whole))
    return [round(edge, 6) for edge in edges]


def _round_step(width: float, *, whole: bool) -> float:
    """The least of 1, 2, 5, 10 … (and of 0.001, 0.002, 0.005 …, unless ``whole``) that is ``width`` or more."""
    width = max(width, 1.0 if whole else _FINEST)
    power = 10.0 ** math.floor(math.log10(width))
    return next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= width * (1 - 1e-9))


def _down(value: float, whole: bool) -> float:
    """``value``, rounded down to what can be written."""
    return float(math.floor(value)) if whole else math.floor(value * 10_000) / 10_000
