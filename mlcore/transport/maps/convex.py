"""Convex potentials whose gradients are Monge maps for the squared distance, and the inverse of such a map.

Brenier: the optimal map for ``|x - y|^2`` is the gradient of a convex function, and a gradient of a convex function is
optimal onto its own image. The potential is an input-convex network (Amos, Xu and Kolter, ICML 2017) whose units also
take squares of their inputs (Korotin et al., ICLR 2021), above a learnt quadratic form.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

#: least curvature of a potential: it makes the map invertible
FLOOR = 0.02
#: curvature that the layers above the quadratic form have when training begins, where one is the whole
_SHARE = 0.3


class ConvexPotential(nn.Module):
    """``f(x) = |L x|^2 / 2 + FLOOR |x|^2 / 2 + <c, x> + w_k . z_k`` with non-negative ``W``, ``w`` and
    ``z_i = softplus(W_i z_(i-1) + (Q_i x)^2 + A_i x + b_i)``; in the beginning its gradient is about the identity.

    Made for points whose coordinates have a spread of about one. The random start takes torch's generator.
    """

    def __init__(self, dimension: int, widths: Sequence[int]) -> None:
        super().__init__()
        width = 1 / math.sqrt(dimension)
        self.slopes = nn.ParameterList(nn.Parameter(width * torch.randn(size, dimension)) for size in widths)
        self.offsets = nn.ParameterList(nn.Parameter(0.5 * torch.randn(size)) for size in widths)
        self.squares = nn.ParameterList(
            nn.Parameter(_SHARE * width * torch.randn(size, dimension)) for size in widths
        )
        self.between = nn.ParameterList(
            nn.Parameter(_softplus_inverse(1 / size) + 0.1 * torch.randn(following, size))
            for size, following in pairwise(widths)
        )
        last = _SHARE * dimension / widths[-1]
        self.last = nn.Parameter(torch.full((widths[-1],), _softplus_inverse(last)))
        self.form = nn.Parameter(torch.eye(dimension))
        self.shift = nn.Parameter(torch.zeros(dimension))
        with torch.no_grad():
            points = torch.randn(2048, dimension)
            slope = self._through_layers(points)
            curvature = float(((slope - slope.mean(0)) * points).mean())
            self.form.mul_(math.sqrt(max(1 - curvature - FLOOR, 0.2)))
            self.shift.copy_(-slope.mean(0))

    def forward(self, x: Tensor) -> Tensor:
        """Values (n,) at the points ``x`` (n, d)."""
        state = F.softplus(self._layers(x)[-1][0])
        quadratic = 0.5 * (x @ self.form.mT).square().sum(-1) + 0.5 * FLOOR * x.square().sum(-1)
        return quadratic + x @ self.shift + state @ F.softplus(self.last)

    def gradient(self, x: Tensor) -> Tensor:
        """The map (n, d) in closed form, differentiable."""
        return (x @ self.form.mT) @ self.form + FLOOR * x + self.shift + self._through_layers(x)

    def _layers(self, x: Tensor) -> list[tuple[Tensor, Tensor]]:
        """What enters the softplus of every layer, and its linear forms ``Q x``."""
        found: list[tuple[Tensor, Tensor]] = []
        for number, (slope, offset, square) in enumerate(
            zip(self.slopes, self.offsets, self.squares, strict=True)
        ):
            root = x @ square.mT
            entered = torch.addmm(offset, x, slope.mT) + root.square()
            if number:
                entered = entered + F.softplus(found[-1][0]) @ F.softplus(self.between[number - 1]).mT
            found.append((entered, root))
        return found

    def _through_layers(self, x: Tensor) -> Tensor:
        layers = self._layers(x)
        back: Tensor = F.softplus(self.last)
        total = torch.zeros_like(x)
        for number in reversed(range(len(layers))):
            entered, root = layers[number]
            change = back * entered.sigmoid()
            total = total + change @ self.slopes[number] + (2 * change * root) @ self.squares[number]
            if number:
                back = change @ F.softplus(self.between[number - 1])
        return total


@torch.no_grad()
def inverse(
    potential: ConvexPotential, y: Tensor, start: Tensor, steps: int, tolerance: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Points (n, d) that the gradient of ``potential`` carries to ``y`` (n, d), and the squared errors (n,) left.

    They maximise ``<x, y> - f(x)``, which is the conjugate ``f*(y)``. Barzilai and Borwein's step of every point by
    itself, from ``start`` (n, d); ends when all errors are below ``tolerance``.
    """
    x = start
    rest = y - potential.gradient(x)
    step = torch.full_like(x[:, :1], 0.7)
    best, error = x, rest.square().sum(1)
    for _ in range(steps):
        if tolerance and bool((error <= tolerance).all()):
            break
        moved = x + step * rest
        left = y - potential.gradient(moved)
        change, turn = moved - x, rest - left
        step = (change * turn).sum(1, keepdim=True) / turn.square().sum(1, keepdim=True).clamp(min=1e-12)
        step = step.clamp(0.02, 1 / FLOOR)
        x, rest = moved, left
        size = rest.square().sum(1)
        better = size < error
        best, error = torch.where(better.unsqueeze(1), x, best), torch.minimum(size, error)
    return best, error


def semi_dual(potential: ConvexPotential, x: Tensor, y: Tensor, inverses: Tensor) -> Tensor:
    """``E f(x) + E (<y, z> - f(z))`` with ``z`` the ``inverses`` of ``y``: least for Brenier's potential.

    With exact inverses it is ``E f + E f*``; its gradient with respect to the network holds them fixed (Danskin).
    """
    return potential(x).mean() + (y * inverses).sum(1).mean() - potential(inverses).mean()


def _softplus_inverse(value: float) -> float:
    return math.log(math.expm1(value))
