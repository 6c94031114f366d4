"""Ground costs between points, as small frozen objects with one protocol.

``matrix`` gives all pairs, ``paired`` the cost of each point and its own image. Gradients are finite everywhere; where
a cost has a kink (two equal points) they are the subgradient 0. Costs ``h(x - y)`` with a strictly convex ``h`` also
give ``conjugate_gradient``, the ``grad h*`` of structured Monge maps ``T(x) = x - grad h*(F(x))``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from mlcore.runtime.errors import InputError
from mlcore.transport.pairwise import sum_over_coordinates

COSINE_LIMIT = 1 - 1e-6  # arccos has an infinite slope at 1


class Cost(Protocol):
    """A ground cost."""

    def matrix(self, x: Tensor, y: Tensor) -> Tensor:
        """Costs of all pairs of ``x`` (..., n, d) and ``y`` (..., m, d): (..., n, m)."""
        ...

    def paired(self, x: Tensor, y: Tensor) -> Tensor:
        """Costs of ``x`` (..., n, d) and ``y`` (..., n, d) point by point: (..., n)."""
        ...


@runtime_checkable
class StrictlyConvexCost(Cost, Protocol):
    """A cost ``h(x - y)`` with a strictly convex ``h``."""

    def conjugate_gradient(self, p: Tensor) -> Tensor:
        """``grad h*(p)`` = argmax_z <p, z> - h(z), the shape of ``p``."""
        ...


@dataclass(frozen=True)
class SquaredEuclidean:
    """``|x - y|^2``, or half of it."""

    half: bool = False

    def matrix(self, x: Tensor, y: Tensor) -> Tensor:
        _check(x, y)
        # a common shift changes no distance; near the origin the expanded product cancels least
        centre = 0.5 * (x.detach().mean(-2, keepdim=True) + y.detach().mean(-2, keepdim=True))
        x, y = x - centre, y - centre
        x_norms, y_norms = x.square().sum(-1, keepdim=True), y.square().sum(-1, keepdim=True)
        # |x|^2 - 2 <x, y> + |y|^2 as one product: a single (n, m) tensor is made
        left = self._scale * torch.cat([-2 * x, x_norms, torch.ones_like(x_norms)], -1)
        right = torch.cat([y, torch.ones_like(y_norms), y_norms], -1)
        return (left @ right.mT).relu_()

    def paired(self, x: Tensor, y: Tensor) -> Tensor:
        _check(x, y)
        return self._scale * (x - y).square().sum(-1)

    def conjugate_gradient(self, p: Tensor) -> Tensor:
        """``p / 2``, or ``p`` for half the squared distance."""
        return 0.5 / self._scale * p

    @property
    def _scale(self) -> float:
        return 0.5 if self.half else 1.0


@dataclass(frozen=True)
class PNorm:
    """``|x - y|_p``, or with ``power`` its ``p``-th power ``sum_i |x_i - y_i|^p``; ``PNorm(1)`` is the l1 distance."""

    p: float = 1.0
    power: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.p < math.inf:
            raise ValueError(f"PNorm: p must be at least 1 and finite, got {self.p}")

    def matrix(self, x: Tensor, y: Tensor) -> Tensor:
        _check(x, y)
        if self.p in {1, 2}:
            # differences, not the expanded product: exact zeros, and no square root of a rounding error
            norm = torch.cdist(x, y, p=self.p, compute_mode="donot_use_mm_for_euclid_dist")
            return norm.pow(self.p) if self.power else norm
        powers = sum_over_coordinates(x, y, self._power, self._power_slope)
        if self.power:
            return powers
        zero = powers == 0
        return powers.masked_fill(zero, 1).pow(1 / self.p).masked_fill(zero, 0)

    def paired(self, x: Tensor, y: Tensor) -> Tensor:
        _check(x, y)
        norm = torch.linalg.vector_norm(x - y, self.p, dim=-1)
        return norm.pow(self.p) if self.power else norm

    def conjugate_gradient(self, p: Tensor) -> Tensor:
        """``sign(p) (|p| / p')^(1 / (p' - 1))`` with ``p'`` the exponent; the derivative at 0 is taken as 0.

        Raises:
            ValueError: without ``power``, or with the exponent 1, the cost is not strictly convex.
        """
        if not self.power or self.p <= 1:
            raise ValueError(
                f"{self} is not strictly convex and has no conjugate gradient; use power=True with p > 1"
            )
        zero = p == 0
        size = (p.masked_fill(zero, 1).abs() / self.p).pow(1 / (self.p - 1))
        return (p.sign() * size).masked_fill(zero, 0)

    def _power(self, z: Tensor) -> Tensor:
        return z.abs().pow(self.p)

    def _power_slope(self, z: Tensor) -> Tensor:
        return self.p * z.sign() * z.abs().pow(self.p - 1)


@dataclass(frozen=True)
class Euclidean:
    """``|x - y|``; its gradient at ``x = y`` is 0."""

    def matrix(self, x: Tensor, y: Tensor) -> Tensor:
        return PNorm(2).matrix(x, y)

    def paired(self, x: Tensor, y: Tensor) -> Tensor:
        return PNorm(2).paired(x, y)


@dataclass(frozen=True)
class Cosine:
    """``1 - cos(x, y)``; a zero vector is orthogonal to everything."""

    def matrix(self, x: Tensor, y: Tensor) -> Tensor:
        _check(x, y)
        return 1 - _directions(x) @ _directions(y).mT

    def paired(self, x: Tensor, y: Tensor) -> Tensor:
        _check(x, y)
        return 1 - (_directions(x) * _directions(y)).sum(-1)


@dataclass(frozen=True)
class Geodesic:
    """The angle between ``x`` and ``y`` in radians, the distance on the unit sphere, or its square.

    Points are projected on the sphere first. The cosine is clamped to 1 - 1e-6, where the gradient is 0: angles below
    0.00141 (and above pi minus that) read as that bound.
    """

    squared: bool = False

    def matrix(self, x: Tensor, y: Tensor) -> Tensor:
        return self._angle(1 - Cosine().matrix(x, y))

    def paired(self, x: Tensor, y: Tensor) -> Tensor:
        return self._angle(1 - Cosine().paired(x, y))

    def _angle(self, cosine: Tensor) -> Tensor:
        angle = cosine.clamp(-COSINE_LIMIT, COSINE_LIMIT).arccos()
        return angle.square() if self.squared else angle


@dataclass(frozen=True)
class Elastic:
    """``|z|^2 / 2 + tau(z)`` with ``z = x - y``: displacements along few coordinates (Cuturi, Klein and Ablin, 2023).

    ``kind="l1"``: ``tau = strength * |z|_1``. ``kind="stvs"``: the vanishing shrinkage of Schreck et al. (2016),
    ``tau = strength^2 sum_i (s_i + 1/2 - exp(-2 s_i) / 2)``, ``s_i = asinh(|z_i| / (2 strength))``, which shrinks
    large coordinates less. ``conjugate_gradient`` is the proximal operator of ``tau``.
    """

    strength: float
    kind: str = "l1"

    def __post_init__(self) -> None:
        if self.kind not in {"l1", "stvs"}:
            raise ValueError(f"Elastic: kind must be 'l1' or 'stvs', got {self.kind!r}")
        if not 0 < self.strength < math.inf:
            raise ValueError(
                f"Elastic: strength must be positive and finite, got {self.strength}; "
                "without a regulariser use SquaredEuclidean(half=True)"
            )

    def matrix(self, x: Tensor, y: Tensor) -> Tensor:
        quadratic = SquaredEuclidean(half=True).matrix(x, y)
        if self.kind == "l1":
            return quadratic + self.strength * PNorm(1).matrix(x, y)
        return quadratic + sum_over_coordinates(x, y, self._vanishing, self._vanishing_slope)

    def paired(self, x: Tensor, y: Tensor) -> Tensor:
        quadratic = SquaredEuclidean(half=True).paired(x, y)
        if self.kind == "l1":
            return quadratic + self.strength * PNorm(1).paired(x, y)
        return quadratic + self._vanishing(x - y).sum(-1)

    def conjugate_gradient(self, p: Tensor) -> Tensor:
        """Soft threshold ``sign(p) (|p| - strength)+``, or for stvs ``p (1 - strength^2 / p^2)+``."""
        if self.kind == "l1":
            return torch.nn.functional.softshrink(p, self.strength)
        kept = p.abs() > self.strength
        safe = torch.where(kept, p, 1)
        return torch.where(kept, safe - self.strength**2 / safe, 0)

    def _vanishing(self, z: Tensor) -> Tensor:
        grown = self._grown(z)
        return self.strength**2 * (grown.log() + 0.5 - 0.5 / grown.square())

    def _vanishing_slope(self, z: Tensor) -> Tensor:
        return self.strength * z.sign() / self._grown(z)

    def _grown(self, z: Tensor) -> Tensor:
        """``exp(asinh(|z| / (2 strength)))``."""
        ratio = z.abs() / (2 * self.strength)
        return ratio + (1 + ratio.square()).sqrt()


COSTS: dict[str, Callable[..., Cost]] = {
    "squared_euclidean": SquaredEuclidean,
    "euclidean": Euclidean,
    "pnorm": PNorm,
    "cosine": Cosine,
    "geodesic": Geodesic,
    "elastic": Elastic,
}


def cost_named(name: str, **parameters: float | bool | str) -> Cost:
    """The cost called ``name`` in :data:`COSTS`, built with ``parameters``.

    Raises:
        InputError: (a ValueError) no such cost, a parameter that it does not have, or a value that it refuses.
    """
    if name not in COSTS:
        raise InputError(
            f"there is no ground cost called {name!r}", field="cost", remedy=f"Use one of {', '.join(COSTS)}."
        )
    kind = COSTS[name]
    known = tuple(getattr(kind, "__dataclass_fields__", ()))
    if unknown := sorted(set(parameters) - set(known)):
        raise InputError(
            f"the cost {name!r} has no parameter {', '.join(unknown)}",
            field="cost",
            remedy=f"It takes {', '.join(known) or 'none'}.",
        )
    try:
        return kind(**parameters)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"the cost {name!r} cannot be built: {error}", field="cost", remedy="Correct its parameters."
        ) from error


def _check(x: Tensor, y: Tensor) -> None:
    if x.dim() < 2 or y.dim() < 2 or x.shape[-1] != y.shape[-1]:
        raise ValueError(
            f"points must be (..., n, d) and (..., m, d) of one d, got {tuple(x.shape)}, {tuple(y.shape)}"
        )


def _directions(x: Tensor) -> Tensor:
    norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return x / norm.masked_fill(norm == 0, 1)
