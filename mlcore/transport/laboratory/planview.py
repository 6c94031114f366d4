"""What can be said and shown of one plan: how sparse and how blurred it is, its strongest links, its matrix."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
#: entries of no more than this share of the mass count as zero
NOTHING = 1e-9


def sparsity(plan: Array) -> dict[str, float]:
    """``nonzeros``: entries above 1e-9 of the mass. ``density``: their share of all entries. ``links_row`` and
    ``links_column``: how many of them the fullest row and column have.
    """
    found = support(plan)
    count = sum(found["rows"])
    return {
        "nonzeros": count,
        "density": count / plan.size,
        "links_row": max(found["rows"]),
        "links_column": max(found["columns"]),
    }


def support(plan: Array) -> dict[str, list[int]]:
    """How many entries above 1e-9 of the mass every one of the ``rows`` (n,) and ``columns`` (m,) has."""
    real = plan > NOTHING * plan.sum()
    return {"rows": real.sum(1).tolist(), "columns": real.sum(0).tolist()}


def spread(plan: Array, y: Array) -> dict[str, float]:
    """How far the plan is from a map.

    ``entropy``: ``-sum P log P`` of the plan scaled to mass one, nats. ``fan_out``: ``exp(H(P) - H(P 1))``, the number
    of targets among which a source point divides its mass, on average. ``blur``: the root of
    ``sum_ij P_ij |y_j - T(x_i)|^2`` with ``T`` the barycentre of a row, in the unit of the coordinates.
    """
    mass = plan.sum()
    if mass <= 0:
        return {"entropy": 0.0, "fan_out": 0.0, "blur": 0.0}
    shares = plan / mass
    rows = shares.sum(1)
    entropy = _entropy(shares)
    kept = rows > 0
    centres = shares[kept] @ y / rows[kept, None]
    second = float(shares.sum(0) @ (y**2).sum(1))
    variance = second - float(rows[kept] @ (centres**2).sum(1))
    return {
        "entropy": entropy,
        "fan_out": math.exp(max(entropy - _entropy(rows), 0.0)),
        "blur": math.sqrt(max(variance, 0.0)),
    }


def _entropy(shares: Array) -> float:
    positive = shares[shares > 0]
    return float(-(positive * np.log(positive)).sum()) + 0.0


def links(plan: Array, most: int) -> dict[str, Any]:
    """The strongest entries, largest first: ``links`` as [row, column, mass], and what is left out.

    ``shown`` + ``left_out`` = ``of`` (the non-zeros); ``share`` is the share of the mass in those shown.
    """
    mass = float(plan.sum())
    flat = plan.ravel()
    real = np.flatnonzero(flat > NOTHING * mass)
    chosen = real
    if len(real) > most:
        chosen = real[np.argpartition(flat[real], len(real) - most)[len(real) - most :]] if most else real[:0]
    chosen = chosen[np.lexsort((chosen, -flat[chosen]))]
    rows, columns = np.divmod(chosen, plan.shape[1])
    masses = flat[chosen]
    return {
        "links": [[int(i), int(j), float(p)] for i, j, p in zip(rows, columns, masses, strict=True)],
        "shown": len(chosen),
        "of": len(real),
        "left_out": len(real) - len(chosen),
        "share": float(masses.sum()) / mass if mass > 0 else 0.0,
    }


def matrix(plan: Array, x: Array, y: Array, side: int) -> dict[str, Any]:
    """The plan as a picture of at most ``side`` x ``side`` cells, each the mass of a block.

    Rows and columns are ordered by the first coordinate of their points, so that a monotone plan lies near the
    diagonal.
    """
    rows, columns = np.lexsort(x.T[::-1]), np.lexsort(y.T[::-1])
    ordered = plan[np.ix_(rows, columns)]
    for axis in (0, 1):
        size = ordered.shape[axis]
        if size > side:
            starts = np.linspace(0, size, side + 1).astype(int)[:-1]
            ordered = np.add.reduceat(ordered, starts, axis)
    return {
        "cells": ordered.tolist(),
        "rows": ordered.shape[0],
        "columns": ordered.shape[1],
        "of_rows": plan.shape[0],
        "of_columns": plan.shape[1],
        "order": "first coordinate",
        "largest": float(ordered.max()),
    }


def difference(first: Array, second: Array) -> dict[str, float]:
    """Two plans of one problem: ``moved`` is the share of mass that lies elsewhere, ``|P - Q|_1 / (|P|_1 + |Q|_1)``."""
    total = float(first.sum() + second.sum())
    gap = np.abs(first - second)
    return {"moved": float(gap.sum()) / total if total > 0 else 0.0, "largest": float(gap.max())}
