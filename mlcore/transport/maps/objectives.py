"""What a map is fitted by: the semi-dual of a convex potential, or a divergence with the Monge gap beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from mlcore.transport.costs import SquaredEuclidean
from mlcore.transport.divergence import sinkhorn_divergence
from mlcore.transport.maps.convex import FLOOR, inverse, semi_dual
from mlcore.transport.maps.forms import ConvexMap
from mlcore.transport.maps.model import MongeMap
from mlcore.transport.maps.monge import monge_gap

#: marginal error, as a share of the mass, of the plans that a step of training looks at
_TOLERANCE = 1e-3
_SAMPLE = 2048
#: squared error of the inverse images, as a share of the target's variance, from which on they are left behind
_BEHIND = 0.02
_CATCH_UP = 10  # steps, at most


class Objective(Protocol):
    """A loss on batches of both clouds, and its value on points that training does not see."""

    def loss(self, model: MongeMap, rows: Tensor, columns: Tensor) -> tuple[Tensor, dict[str, float]]:
        """The loss on the points with these numbers, and its parts by name."""
        ...

    def held_out(self, model: MongeMap) -> dict[str, float]:
        """The parts on the held-out points; ``score`` among them is what is to be small."""
        ...

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint must keep."""
        ...

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take back what :meth:`state` gave."""
        ...


@dataclass(frozen=True, eq=False)
class Clouds:
    """Points (n, d) to train on and points that training does not see."""

    source: Tensor
    target: Tensor
    held_source: Tensor
    held_target: Tensor


class SemiDual:
    """``E f(x) + E f*(y)``: an unbiased loss in any dimension, since no two points are ever matched.

    The inverse image of every target point is kept, and improved by ``steps`` steps whenever its batch comes; by more
    where they have been left behind, since inexact ones underestimate ``f*`` and the loss could fall without end.
    ``score`` is the value against that of the linear map, in percent of half the target's variance: where the true
    map stretches little, its distance from the best value is about the L2-UVP, so that -10 is 10 points better than
    the linear map. It takes the upper bound ``|y - grad f(z)|^2 / (2 FLOOR)`` of what the inverse images ``z`` miss of
    ``f*``, by the potential's strong convexity: a potential that cannot be inverted is never taken for a good one.
    """

    def __init__(self, clouds: Clouds, network: ConvexMap, steps: int) -> None:
        self.source, self.held_source = network.enter(clouds.source), network.enter(clouds.held_source)
        self.target = network.enter_target(clouds.target)
        self.held_target = network.enter_target(clouds.held_target)
        self.steps = steps
        # inverse images begin where the linear map, the identity in these coordinates, has them
        self.inverses, self.held_inverses = self.target.clone(), self.held_target.clone()
        self.variance = float(self.held_target.var(0, correction=0).sum()) or 1.0
        squares = self.held_source.square().sum(1).mean() + self.held_target.square().sum(1).mean()
        self.linear = 0.5 * float(squares)

    def loss(self, model: MongeMap, rows: Tensor, columns: Tensor) -> tuple[Tensor, dict[str, float]]:
        potential = _convex(model).potential
        y = self.target[columns]
        z, error = inverse(potential, y, self.inverses[columns], self.steps)
        if not float(error.mean()) <= _BEHIND * self.variance:
            z, error = inverse(potential, y, z, _CATCH_UP, _BEHIND / 4 * self.variance)
        self.inverses[columns] = z
        value = semi_dual(potential, self.source[rows], y, z)
        return value, {"loss": value.item(), "inverse_error": error.mean().item() / self.variance}

    @torch.no_grad()
    def held_out(self, model: MongeMap) -> dict[str, float]:
        potential = _convex(model).potential
        z, error = inverse(potential, self.held_target, self.held_inverses, 300, 1e-5 * self.variance)
        self.held_inverses = z if bool(torch.isfinite(z).all()) else self.held_target.clone()
        missed = float(error.mean()) / (2 * FLOOR)
        value = float(semi_dual(potential, self.held_source, self.held_target, z)) + missed
        score = 200 * (value - self.linear) / self.variance
        return {"score": score, "semi_dual": value, "inverse_error": float(error.mean()) / self.variance}

    def state(self) -> dict[str, Tensor]:
        return {"inverses": self.inverses, "held_inverses": self.held_inverses}

    def restore(self, state: dict[str, Tensor]) -> None:
        self.inverses = state["inverses"].to(self.inverses)
        self.held_inverses = state["held_inverses"].to(self.held_inverses)


class RegularisedFit:
    """``S(T#mu, nu) / s + strength M(T) / t``: the Sinkhorn divergence (squared Euclidean) plus the Monge gap.

    ``s`` and ``t`` are the mean squared distance and the mean cost between the clouds; both epsilons are shares of
    them, fixed once. ``score`` is the same sum on the held-out points.
    """

    def __init__(
        self,
        clouds: Clouds,
        model: MongeMap,
        *,
        strength: float,
        fit_epsilon: float,
        gap_epsilon: float,
    ) -> None:
        self.source, self.target = clouds.source, clouds.target
        self.held_source, self.held_target = clouds.held_source, clouds.held_target
        self.strength = strength
        source, target = clouds.source[:_SAMPLE], clouds.target[:_SAMPLE]
        self.fit_scale = _mean_cost(SquaredEuclidean().matrix(source, target))
        self.gap_scale = _mean_cost(model.cost.matrix(source, target))
        self.fit_epsilon = fit_epsilon * self.fit_scale
        self.gap_epsilon = gap_epsilon * self.gap_scale

    def loss(self, model: MongeMap, rows: Tensor, columns: Tensor) -> tuple[Tensor, dict[str, float]]:
        x = self.source[rows]
        value, parts = self._parts(model, x, model(x), self.target[columns], with_gap=self.strength > 0)
        return value, {"loss": value.item(), **parts}

    @torch.no_grad()
    def held_out(self, model: MongeMap) -> dict[str, float]:
        x = self.held_source
        value, parts = self._parts(model, x, model.carry(x), self.held_target, with_gap=True)
        return {"score": float(value), **parts}

    def _parts(
        self, model: MongeMap, x: Tensor, mapped: Tensor, y: Tensor, *, with_gap: bool
    ) -> tuple[Tensor, dict[str, float]]:
        fit = sinkhorn_divergence(mapped, y, epsilon=self.fit_epsilon, tolerance=_TOLERANCE).value
        value = fit / self.fit_scale
        parts = {"divergence": fit.item()}
        if with_gap:
            gap = monge_gap(
                x, mapped, model.cost, self.gap_epsilon, tolerance=_TOLERANCE, max_iterations=500
            ).value
            value = value + self.strength * gap / self.gap_scale
            parts["gap"] = gap.item()
        return value, parts

    def state(self) -> dict[str, Tensor]:
        return {}

    def restore(self, state: dict[str, Tensor]) -> None:
        return None


def _convex(model: MongeMap) -> ConvexMap:
    if not isinstance(model.network, ConvexMap):
        raise TypeError("the semi-dual fits convex potentials only")
    return model.network


def _mean_cost(matrix: Tensor) -> float:
    mean = float(matrix.mean())
    return mean if mean > 0 else 1.0
