"""Networks that carry points: convex, free, structured for a convex cost, conservative, and on the sphere.

Every map and field takes points (n, d). Free and structured maps add what they learn to where they begin.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from mlcore.transport.costs import Cost, StrictlyConvexCost
from mlcore.transport.maps.convex import ConvexPotential
from mlcore.transport.maps.gaussian import Affine, power


class Perceptron(nn.Module):
    """Linear layers with GELU between them; the last begins small, so that a map begins near its base."""

    def __init__(self, dimension: int, widths: Sequence[int], outputs: int) -> None:
        super().__init__()
        sizes = [dimension, *widths]
        layers: list[nn.Module] = []
        for before, after in pairwise(sizes):
            layers += [nn.Linear(before, after), nn.GELU()]
        last = nn.Linear(sizes[-1], outputs)
        with torch.no_grad():
            last.weight.mul_(0.01)
            last.bias.zero_()
        self.layers = nn.Sequential(*layers, last)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class GradientField(nn.Module):
    """A conservative field: the gradient of a scalar network (n, d) -> (n, 1), convex or not."""

    def __init__(self, scalar: nn.Module) -> None:
        super().__init__()
        self.scalar = scalar

    def forward(self, x: Tensor) -> Tensor:
        training = torch.is_grad_enabled()
        with torch.enable_grad():
            points = x if x.requires_grad else x.detach().requires_grad_()
            (slope,) = torch.autograd.grad(self.scalar(points).sum(), points, create_graph=training)
        return slope


class Units(nn.Module):
    """Standardises the points for a network; ``spread`` is the size of what comes out of it."""

    centre: Tensor
    scale: Tensor
    spread: Tensor

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(dimension))
        self.register_buffer("scale", torch.ones(dimension))
        self.register_buffer("spread", torch.ones(()))

    def fit(self, source: Tensor, target: Tensor) -> None:
        """Take centre and scale (a constant coordinate keeps 1) from the source, the spread from the target."""
        scale = source.std(0, correction=0)
        self.centre.copy_(source.mean(0))
        self.scale.copy_(torch.where(scale > 0, scale, torch.ones_like(scale)))
        spread = target.var(0, correction=0).mean().sqrt()
        self.spread.copy_(torch.where(spread > 0, spread, torch.ones_like(spread)))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.centre) / self.scale


class FreeMap(nn.Module):
    """``T(x) = base(x) + F(x)``: nothing in its form keeps it near an optimal map."""

    def __init__(self, dimension: int, field: nn.Module) -> None:
        super().__init__()
        self.base, self.units, self.field = Affine(dimension), Units(dimension), field

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + self.units.spread * self.field(self.units(x))


class StructuredMap(nn.Module):
    """``T(x) = x - grad h*(F(x))`` for a cost ``h(x - y)``: optimal for the gradient ``F`` of a c-concave function.

    Raises:
        ValueError: the cost is no strictly convex function of x - y.
    """

    def __init__(self, dimension: int, cost: Cost, field: nn.Module) -> None:
        super().__init__()
        if not isinstance(cost, StrictlyConvexCost):
            raise ValueError(  # noqa: TRY004 - a cost of the right type, in the wrong place
                f"{cost} is no strictly convex function of x - y; use a free map"
            )
        cost.conjugate_gradient(torch.zeros(1))  # what it refuses, it refuses now
        self.cost, self.units, self.field = cost, Units(dimension), field

    def forward(self, x: Tensor) -> Tensor:
        return x - self.cost.conjugate_gradient(self.units.spread * self.field(self.units(x)))


class SphereMap(nn.Module):
    """``T(x) = G(x) / |G(x)|`` with ``G(x) = x / |x| + F(x / |x|)``: a map of the unit sphere."""

    def __init__(self, field: nn.Module) -> None:
        super().__init__()
        self.field = field

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.normalize(x, dim=-1)
        return nn.functional.normalize(x + self.field(x), dim=-1)


class ConvexMap(nn.Module):
    """Brenier's form: the gradient of a convex potential, in coordinates in which the Gaussian map is the identity.

    ``u = R (x - m) / s``, ``T(x) = s R grad f(u) + n`` with a symmetric ``R``: the gradient of the convex function
    ``s^2 f(u(x)) + <n, x>``.
    """

    root: Tensor
    spread: Tensor
    source_centre: Tensor
    target_centre: Tensor

    def __init__(self, dimension: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.potential = ConvexPotential(dimension, widths)
        self.register_buffer("root", torch.eye(dimension))
        self.register_buffer("unroot", torch.eye(dimension))
        self.register_buffer("spread", torch.ones(()))
        self.register_buffer("source_centre", torch.zeros(dimension))
        self.register_buffer("target_centre", torch.zeros(dimension))

    unroot: Tensor

    def fit(self, source: Tensor, linear: Affine) -> None:
        """Take the coordinates from the Gaussian map, their unit from the spread of the source in them."""
        matrix = linear.matrix.double()
        self.root.copy_(power(matrix, 0.5))
        self.unroot.copy_(power(matrix, -0.5))
        self.source_centre.copy_(linear.source_centre)
        self.target_centre.copy_(linear.target_centre)
        self.spread.fill_(1.0)
        self.spread.copy_(self.enter(source).square().mean().sqrt())

    def enter(self, x: Tensor) -> Tensor:
        """``u`` of points of the source."""
        return (x - self.source_centre) @ self.root / self.spread

    def enter_target(self, y: Tensor) -> Tensor:
        """What ``grad f`` must reach to reach ``y``."""
        return (y - self.target_centre) @ self.unroot / self.spread

    def leave(self, v: Tensor) -> Tensor:
        """The inverse of :meth:`enter_target`."""
        return self.spread * (v @ self.root) + self.target_centre

    def forward(self, x: Tensor) -> Tensor:
        return self.leave(self.potential.gradient(self.enter(x)))
