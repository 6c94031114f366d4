"""Weighted point clouds from what people have: a sampled shape, coordinates, or a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlcore.runtime.errors import InputError, LimitError
from mlcore.transport.laboratory.samples import sample
from mlcore.transport.pointfiles import read_points

Array = NDArray[np.float64]
LARGEST = 1e8  # squares and sums of coordinates up to this stay exact enough in float64
SPECS = ("sample", "points", "file")


@dataclass(frozen=True)
class Limits:
    """How large a problem may be."""

    points: int  # of one cloud
    entries: int  # of the cost matrix
    dimension: int
    file_bytes: int
    seconds: float  # estimated, with every iteration used


#: what a server answers while somebody waits
PAGE = Limits(points=4_000, entries=1_000_000, dimension=32, file_bytes=4_000_000, seconds=15.0)
#: what one's own machine may try
COMMAND_LINE = Limits(
    points=100_000, entries=400_000_000, dimension=4_096, file_bytes=4_000_000_000, seconds=float("inf")
)


@dataclass(frozen=True, eq=False)
class Cloud:
    """Points with weights, and where they come from."""

    points: Array  # (n, d)
    weights: Array  # (n,) as given, not scaled
    weighted: bool  # False: every point counts alike
    recipe: Mapping[str, Any]  # enough to make it again, or the file's name

    @property
    def mass(self) -> float:
        """The sum of the weights."""
        return float(self.weights.sum())

    def __len__(self) -> int:
        return len(self.points)


def make_cloud(spec: Mapping[str, Any], side: str, limits: Limits = PAGE) -> Cloud:
    """The cloud that ``spec`` describes.

    ``spec`` has one of ``sample`` (a name; with ``n``, ``seed``, ``shift``), ``points`` (a list of coordinate lists;
    with ``weights``) and ``file`` (``{"name", "content"}``, content bytes). ``side`` is ``"source"`` or ``"target"``
    and prefixes the field of every error.

    Raises:
        InputError: the description, a coordinate or a weight cannot be used.
        LimitError: more points or dimensions than ``limits`` allow.
    """
    given = [name for name in SPECS if spec.get(name) is not None]
    if len(given) != 1:
        raise InputError(
            f"the {side} is {'not given' if not given else 'given in more than one way: ' + ', '.join(given)}",
            field=side,
            remedy="Give one of sample, points and file.",
        )
    try:
        if given == ["sample"]:
            return _sampled(spec, limits)
        if given == ["file"]:
            name, content = spec["file"]["name"], spec["file"]["content"]
            if len(content) > limits.file_bytes:
                raise LimitError(
                    f"the file has {len(content):,} bytes and the limit is {limits.file_bytes:,}",
                    field="file",
                    remedy="Send fewer points, or use the command line: python -m mlcore transport plan.",
                )
            points, weights = read_points(name, content, side)
            recipe: dict[str, Any] = {"file": name}
        else:
            points, weights = spec["points"], spec.get("weights")
            recipe = {"given": "points"}
        return _checked(points, weights, recipe, limits)
    except LimitError as error:
        raise LimitError(
            error.message, field=_field(side, error), place=error.place, remedy=error.remedy
        ) from None
    except InputError as error:
        raise InputError(
            error.message, field=_field(side, error), place=error.place, remedy=error.remedy
        ) from None


def _field(side: str, error: InputError) -> str:
    return f"{side}.{error.field}" if error.field else side


def _sampled(spec: Mapping[str, Any], limits: Limits) -> Cloud:
    n, seed = _whole(spec, "n", 60), _whole(spec, "seed", 0)
    try:
        shift = np.asarray(spec.get("shift") or (0.0, 0.0), dtype=np.float64)
    except (TypeError, ValueError):
        shift = np.empty(0)
    if n > limits.points:
        raise _too_many(n, limits)
    if shift.shape != (2,) or not (np.isfinite(shift).all() and (np.abs(shift) <= LARGEST).all()):
        raise InputError(
            "the shift must be two numbers",
            field="shift",
            remedy="Give it as [dx, dy], for example [0.5, 0].",
        )
    points = sample(str(spec["sample"]), n, seed) + shift
    recipe = {"sample": spec["sample"], "n": n, "seed": seed, "shift": shift.tolist()}
    return Cloud(points, np.full(n, 1.0 / n), False, recipe)


def _whole(spec: Mapping[str, Any], name: str, default: int) -> int:
    try:
        return int(spec.get(name, default))
    except (TypeError, ValueError):
        raise InputError(
            f"'{str(spec[name])[:30]}' is not a whole number", field=name, remedy="Write digits only."
        ) from None


def _checked(given: Any, weights: Any, recipe: Mapping[str, Any], limits: Limits) -> Cloud:
    points = _numbers(given)
    n, dimension = points.shape
    if n > limits.points:
        raise _too_many(n, limits)
    if dimension > limits.dimension:
        raise LimitError(
            f"the points have {dimension} coordinates and the limit is {limits.dimension}",
            field="points",
            remedy="Project them first, for example on their leading principal components.",
        )
    faulty = np.flatnonzero(~(np.abs(points) <= LARGEST).all(1))  # NaN is not <= either
    if len(faulty):
        raise InputError(
            f"a coordinate is not a number, infinite or beyond {LARGEST:g}: {points[faulty[0]].tolist()}",
            field="points",
            place=f"point {faulty[0] + 1} of {n}",
            remedy="Correct or leave out the point; scale the coordinates down if they are this large.",
        )
    if weights is None:
        return Cloud(points, np.full(n, 1.0 / n), False, recipe)
    return Cloud(points, _weights(weights, n), True, recipe)


def _numbers(given: Any) -> Array:
    if isinstance(given, Sequence) and len({len(row) for row in given if isinstance(row, Sequence)}) > 1:
        dimension = len(given[0])
        odd = next(number for number, row in enumerate(given) if len(row) != dimension)
        raise InputError(
            f"the points have different numbers of coordinates: {dimension} first, then {len(given[odd])}",
            field="points",
            place=f"point {odd + 1} of {len(given)}",
            remedy="Give every point the same coordinates.",
        )
    try:
        points = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        points = np.empty((0,))
    if points.ndim == 1 and len(points):
        points = points[:, None]
    if points.ndim != 2 or points.shape[0] == 0 or points.shape[1] == 0:
        raise InputError(
            f"the points must be a table with a row for each point, got the shape {tuple(points.shape)}",
            field="points",
            remedy="Give at least one point, for example [[0, 0], [1, 0.5]].",
        )
    return points


def _weights(given: Any, n: int) -> Array:
    try:
        weights = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        weights = np.empty((0, 0))
    if weights.shape != (n,):
        raise InputError(
            f"there are {n} points and weights of the shape {tuple(weights.shape)}",
            field="weights",
            remedy="Give one weight for each point.",
        )
    faulty = np.flatnonzero(~((weights >= 0) & (weights <= LARGEST)))
    if len(faulty):
        raise InputError(
            f"the weight {weights[faulty[0]]} is negative, infinite, too large or not a number",
            field="weights",
            place=f"point {faulty[0] + 1} of {n}",
            remedy="Weights are masses: zero or more.",
        )
    if weights.sum() <= 0:
        raise InputError("all weights are zero", field="weights", remedy="Give at least one point a mass.")
    return weights


def _too_many(n: int, limits: Limits) -> LimitError:
    return LimitError(
        f"{n:,} points, and the limit is {limits.points:,}",
        field="n",
        remedy="Take a random part of them, or use the command line on your own machine: "
        "python -m mlcore transport plan.",
    )
