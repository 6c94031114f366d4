"""The Sinkhorn divergence: entropic transport without its bias, a loss between weighted point clouds.

``S(x, y) = OT(x, y) - OT(x, x) / 2 - OT(y, y) / 2`` with ``OT`` the value with ``eps KL(P | a b')`` (Genevay et al.,
AISTATS 2018; Feydy et al., AISTATS 2019). It is non-negative for the usual costs and zero only for equal measures.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mlcore.transport.costs import Cost, SquaredEuclidean
from mlcore.transport.sinkhorn import EntropicSolution, default_tolerance, sinkhorn, uniform
from mlcore.transport.symmetric import symmetric_potential

_SELF_ITERATIONS = 400


@dataclass(frozen=True, eq=False)
class Divergence:
    """The divergence and what it was made of; ``()`` instead of ``(batch,)`` for points without a batch."""

    value: Tensor  # (batch,) differentiable with respect to the points
    cross: EntropicSolution  # x against y
    self_error: Tensor  # (batch,) larger L1 error of the two problems of a cloud with itself


def sinkhorn_divergence(
    x: Tensor,
    y: Tensor,
    a: Tensor | None = None,
    b: Tensor | None = None,
    *,
    epsilon: float | Tensor,
    cost: Cost | None = None,
    debias: bool = True,
    static_y: bool = False,
    tolerance: float | None = None,
    start: tuple[Tensor, Tensor] | None = None,
) -> Divergence:
    """The divergence of batches of point clouds.

    Args:
        x, y: (batch, n, d) and (batch, m, d), or without a batch; padded points must be finite.
        a, b: weights (batch, n) and (batch, m), zero where padded; uniform when left out.
        epsilon: absolute, in the units of the cost, one number or (batch,).
        cost: a ground cost with ``c(x, x) = 0``; the squared Euclidean distance when left out.
        debias: without it, the value is ``OT(x, y)`` alone.
        static_y: leave the constant ``OT(y, y) / 2`` out (a training target does not change).
        tolerance: L1 marginal error as a share of the mass.
        start: potentials of a similar problem, see :func:`~mlcore.transport.sinkhorn.sinkhorn`.

    Gradients reach the points by the envelope theorem; the plans are held fixed.

    Raises:
        ValueError: points that do not fit together, or what :func:`~mlcore.transport.sinkhorn.sinkhorn` refuses.
    """
    ground = cost or SquaredEuclidean()
    goal = default_tolerance(x.dtype) if tolerance is None else tolerance
    with torch.no_grad():
        matrix = ground.matrix(x, y)
        cross = sinkhorn(matrix, a, b, epsilon, tolerance=goal, start=start)
    value = cross.dual + _carried(ground, cross.plan, x, y)
    error = torch.zeros_like(cross.dual)
    if debias:
        for points, weights, fixed in ((x, a, False), (y, b, static_y)):
            if fixed:
                continue
            own, its_error = _with_itself(points, weights, epsilon, ground, goal)
            value, error = value - 0.5 * own, torch.maximum(error, its_error)
    return Divergence(value=value, cross=cross, self_error=error)


def _with_itself(
    points: Tensor, weights: Tensor | None, epsilon: float | Tensor, ground: Cost, goal: float
) -> tuple[Tensor, Tensor]:
    """``OT(x, x)``, differentiable, and its marginal error."""
    batched = points.dim() == 3
    with torch.no_grad():
        cost = ground.matrix(points, points)
        cost = cost if batched else cost.unsqueeze(0)
        a = uniform(cost, 1) if weights is None else weights.detach()
        a = (a if a.dim() == 2 else a.unsqueeze(0)).expand(cost.shape[:2])
        eps = torch.as_tensor(epsilon, dtype=cost.dtype, device=cost.device).expand(len(cost))
        f, error = symmetric_potential(cost, a, eps, goal, _SELF_ITERATIONS)
        value = 2 * (a * f).sum(1)
        if not points.requires_grad:
            return (value, error) if batched else (value[0], error[0])
        raw = torch.where(a > 0, f + eps.unsqueeze(1) * a.log(), -torch.inf)
        plan = (raw.unsqueeze(1) - cost).add_(raw.unsqueeze(2)).div_(eps.view(-1, 1, 1)).exp_()
        if not batched:
            plan, value, error = plan[0], value[0], error[0]
    return value + _carried(ground, plan, points, points), error


def _carried(ground: Cost, plan: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Zero, with the gradient of ``<plan, c(x, y)>``."""
    if not (x.requires_grad or y.requires_grad):
        return plan.new_zeros(plan.shape[:-2])
    if isinstance(ground, SquaredEuclidean):  # no (n, m) tensor is kept for the way back
        scale = 0.5 if ground.half else 1.0
        linear = (plan.sum(-1).unsqueeze(-1) * x.square()).sum((-2, -1))
        linear = linear + (plan.sum(-2).unsqueeze(-1) * y.square()).sum((-2, -1))
        linear = scale * (linear - 2 * (x * (plan @ y)).sum((-2, -1)))
    else:
        linear = (plan * ground.matrix(x, y)).sum((-2, -1))
    return linear - linear.detach()
