"""Point clouds in the plane by name, made anew from a seed: something to carry and somewhere to carry it.

All lie within a few units of the origin. The same name, number and seed give the same points on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mlcore.runtime.errors import InputError

Array = NDArray[np.float64]
LARGEST_SEED = 2**31 - 1


@dataclass(frozen=True)
class Sample:
    """A cloud that can be drawn: ``draw(n, generator)`` gives (n, 2)."""

    name: str
    label: str
    words: str
    draw: Callable[[int, Generator], Array]


def sample(name: str, n: int, seed: int) -> Array:
    """``n`` points (n, 2) of the cloud called ``name``.

    Raises:
        InputError: no such cloud, no points, or a seed outside 0 .. 2^31 - 1.
    """
    if name not in SAMPLES:
        raise InputError(
            f"there is no sampled cloud called {name!r}",
            field="sample",
            remedy=f"Use one of {', '.join(SAMPLES)}.",
        )
    if n < 1:
        raise InputError(f"a cloud needs at least one point, got {n}", field="n", remedy="Give 1 or more.")
    if not 0 <= seed <= LARGEST_SEED:
        raise InputError(
            f"the seed {seed} cannot be used",
            field="seed",
            remedy=f"Give a whole number from 0 to {LARGEST_SEED}.",
        )
    return SAMPLES[name].draw(n, np.random.default_rng(seed))


def _gaussian(n: int, random: Generator) -> Array:
    return 0.4 * random.standard_normal((n, 2))


def _gaussians(n: int, random: Generator) -> Array:
    side = np.where(random.random(n) < 0.5, -1.0, 1.0)
    return np.stack([side, np.zeros(n)], 1) + 0.22 * random.standard_normal((n, 2))


def _moons(n: int, random: Generator) -> Array:
    angle = math.pi * random.random(n)
    upper = np.arange(n) % 2 == 0
    points = np.stack(
        [
            np.where(upper, np.cos(angle), 1 - np.cos(angle)),
            np.where(upper, np.sin(angle), 0.5 - np.sin(angle)),
        ],
        1,
    )
    return points - (0.5, 0.25) + 0.05 * random.standard_normal((n, 2))


def _circles(n: int, random: Generator) -> Array:
    radius = np.where(np.arange(n) % 2 == 0, 1.0, 0.45)
    return _around(2 * math.pi * random.random(n), radius) + 0.04 * random.standard_normal((n, 2))


def _ring(n: int, random: Generator) -> Array:
    return _around(2 * math.pi * random.random(n), 1.0 + 0.05 * random.standard_normal(n))


def _spiral(n: int, random: Generator) -> Array:
    along = np.sqrt(random.random(n))
    return _around(3.5 * math.pi * along, 1.15 * along) + 0.03 * random.standard_normal((n, 2))


def _grid(n: int, _random: Generator) -> Array:
    columns = math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    place = np.arange(n)
    across = place % columns / max(columns - 1, 1) if columns > 1 else np.full(n, 0.5)
    up = place // columns / max(rows - 1, 1) if rows > 1 else np.full(n, 0.5)
    return np.stack([2 * across - 1, 2 * up - 1], 1)


def _clusters(n: int, random: Generator) -> Array:
    centres = _around(2 * math.pi * (np.arange(5) + 0.25) / 5, 1.0)
    return centres[random.integers(0, 5, n)] + 0.13 * random.standard_normal((n, 2))


def _uniform(n: int, random: Generator) -> Array:
    return 2 * random.random((n, 2)) - 1


def _around(angle: Array, radius: Array | float) -> Array:
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)


SAMPLES: dict[str, Sample] = {
    each.name: each
    for each in (
        Sample("gaussian", "a Gaussian", "one round heap, standard deviation 0.4", _gaussian),
        Sample("gaussians", "two Gaussians", "two round heaps at (−1, 0) and (1, 0)", _gaussians),
        Sample("moons", "two moons", "two half circles that interlock", _moons),
        Sample("circles", "two circles", "a circle of radius 1 around one of radius 0.45", _circles),
        Sample("ring", "a ring", "a circle of radius 1, a little rough", _ring),
        Sample("spiral", "a spiral", "one arm, evenly filled", _spiral),
        Sample(
            "grid", "a grid", "rows and columns over the square from −1 to 1; the seed changes nothing", _grid
        ),
        Sample("clusters", "five clusters", "five small heaps on a circle, of random sizes", _clusters),
        Sample("uniform", "a uniform square", "points anywhere in the square from −1 to 1", _uniform),
    )
}
