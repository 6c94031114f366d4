"""The Monge gap: how much cheaper the points of a map could have been carried onto its own image.

    M(T) = E c(x, T(x)) - W_c(rho, T#rho)

(Uscidda and Cuturi, ICML 2023). It is non-negative, and zero exactly for maps that are optimal for ``c`` from ``rho``
to their image. It says nothing about where that image should lie: the identity has no gap. On samples it grows with
their number, and its entropic estimate with epsilon: compare gaps at the same number and epsilon only.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mlcore.transport.costs import Cost, SquaredEuclidean
from mlcore.transport.exact import exact_transport
from mlcore.transport.sinkhorn import EntropicSolution, sinkhorn


@dataclass(frozen=True, eq=False)
class MongeGap:
    """The entropic gap and what it was made of; ``()`` instead of ``(batch,)`` for points without a batch."""

    value: Tensor  # (batch,) differentiable with respect to the points and their images
    moved: Tensor  # (batch,) mean cost of the map, sum_i a_i c(x_i, y_i)
    transport: EntropicSolution  # of the points to their images


def monge_gap(
    x: Tensor,
    mapped: Tensor,
    cost: Cost | None = None,
    epsilon: float | Tensor = 0.01,
    *,
    a: Tensor | None = None,
    relative: str | None = None,
    tolerance: float | None = None,
    max_iterations: int = 20_000,
    start: tuple[Tensor, Tensor] | None = None,
) -> MongeGap:
    """``sum_i a_i c(x_i, y_i) - min_P (<P, C> - eps H(P))`` with ``C_ij = c(x_i, y_j)`` and ``H(P) = -sum P log P``.

    With n points of equal weight the value lies between the exact gap plus ``eps log n`` and that plus ``2 eps log
    n``. The gradient holds the plan fixed (Danskin): ``a_i grad_2 c(x_i, y_i) - sum_k P_ki grad_2 c(x_k, y_i)``.

    Args:
        x: (batch, n, d) or (n, d).
        mapped: the image of every point, the shape of ``x``.
        cost: a ground cost; the squared Euclidean distance when left out.
        epsilon: one number or (batch,), in the units of the cost unless ``relative``.
        a: weights (batch, n) or (n,) with the sum 1, zero where padded; equal when left out.
        relative: statistic of the costs that ``epsilon`` is a share of; it carries no gradient. A gap that is trained
            on wants a constant epsilon: under a relative one a network can change the scale.
        tolerance, max_iterations, start: see :func:`~mlcore.transport.sinkhorn.sinkhorn`.

    Raises:
        ValueError: images that are not of the shape of the points, or what
            :func:`~mlcore.transport.sinkhorn.sinkhorn` refuses.
    """
    ground = cost or SquaredEuclidean()
    moved, weights = _moved(x, mapped, ground, a)
    transport = sinkhorn(
        ground.matrix(x, mapped),
        weights,
        weights,
        epsilon,
        relative=relative,
        tolerance=tolerance,
        max_iterations=max_iterations,
        start=start,
    )
    return MongeGap(moved - transport.entropic, moved, transport)


def exact_monge_gap(
    x: Tensor, mapped: Tensor, cost: Cost | None = None, *, a: Tensor | None = None
) -> Tensor:
    """The gap without entropy, (batch,) or (): an assignment problem, O(n^3), for up to a few thousand points.

    Arguments as for :func:`monge_gap`. Differentiable where the optimal assignment is unique.

    Raises:
        ValueError: see :func:`monge_gap`.
    """
    ground = cost or SquaredEuclidean()
    moved, weights = _moved(x, mapped, ground, a)
    best = exact_transport(ground.matrix(x, mapped), weights, weights, potentials=False)
    return moved - best.cost


def _moved(x: Tensor, mapped: Tensor, ground: Cost, a: Tensor | None) -> tuple[Tensor, Tensor]:
    if x.shape != mapped.shape:
        raise ValueError(
            f"every point needs its image: got points {tuple(x.shape)} and images {tuple(mapped.shape)}"
        )
    paired = ground.paired(x, mapped)
    weights = torch.full_like(paired, 1.0 / x.shape[-2]) if a is None else a.expand(paired.shape)
    # where no mass lies the points may be anything
    return (weights * paired.masked_fill(weights == 0, 0)).sum(-1), weights.detach()
