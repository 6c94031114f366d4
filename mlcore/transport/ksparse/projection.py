"""Conjugates of the quadratic and of the k-sparse regulariser, and the projections that attain them.

For ``Omega(t) = gamma / 2 |t|^2``, restricted to at most k non-zeros when ``k`` is given (Liu, Puigcerver and Blondel,
ICLR 2023, arXiv 2209.15466), over the non-negative orthant (the dual of transport) and over the simplex of mass ``b``
(its semi-dual):

    Omega*_+(s) = 1 / (2 gamma) sum_{i <= k} [s_(i)]_+^2                          t = [top_k(s)]_+ / gamma
    Omega*_b(s) = <s, t> - gamma / 2 |t|^2,   t = [top_k(s) - tau]_+ / gamma,     sum_i t_i = b

``s_(1) >= s_(2) >= ...`` are the sorted entries. The second is the projection of ``s / gamma`` on the simplex with its
k largest entries only (Kyrillidis, Becker, Cevher and Koch, ICML 2013). Vectors lie along the last axis; ``-inf``
marks an entry that may not be used. At a tie at the cut one of the maximisers is returned.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

_FIRST = 64  # entries that are sorted before all are: the quadratic projection rarely keeps more


class Conjugate(NamedTuple):
    """Value and maximiser of ``<s, t> - Omega(t)``, one per vector."""

    value: Tensor  # (...,)
    weights: Tensor  # (..., K) the maximiser's largest entries, non-increasing; the others are zero
    place: Tensor  # (..., K) where they belong
    threshold: Tensor  # (...,) tau; zero on the orthant
    cut: Tensor  # (...,) the smallest score that was considered: s_(K)

    def dense(self, size: int) -> Tensor:
        """The maximiser with its zeros: (..., size)."""
        empty = self.weights.new_zeros(*self.weights.shape[:-1], size)
        return empty.scatter_(-1, self.place, self.weights)


def orthant_conjugate(scores: Tensor, gamma: float | Tensor, k: int | None = None) -> Conjugate:
    """``Omega*_+`` of ``scores`` (..., n) and its maximiser; ``gamma`` a number or (...,).

    Raises:
        ValueError: k below one, or no entries.
    """
    gamma = _along(gamma, scores)
    top, index = scores.topk(_kept(scores, k), dim=-1)
    positive = top.clamp(min=0)
    weights = positive / gamma.unsqueeze(-1)
    value = (positive * weights).sum(-1) / 2
    return Conjugate(value, weights, index, torch.zeros_like(value), top[..., -1])


def simplex_conjugate(
    scores: Tensor, mass: float | Tensor, gamma: float | Tensor, k: int | None = None
) -> Conjugate:
    """``Omega*_b`` of ``scores`` (..., n) and its maximiser; ``mass`` b and ``gamma`` numbers or (...,).

    A vector without mass has the maximiser zero and the value zero, whatever its scores.

    Raises:
        ValueError: k below one, or no entries.
    """
    mass, gamma = _along(mass, scores), _along(gamma, scores)
    kept = _kept(scores, k)
    if k is None or kept > _FIRST:
        short = min(kept, _FIRST)
        found = _on_simplex(*scores.topk(short, dim=-1), mass, gamma)
        if short == kept or bool((found.cut <= found.threshold).all()):
            return found
    return _on_simplex(*scores.topk(kept, dim=-1), mass, gamma)


def sparse_simplex_projection(point: Tensor, k: int | None = None, mass: float | Tensor = 1.0) -> Tensor:
    """The nearest ``t`` to ``point`` (..., n) with ``t >= 0``, ``sum t = mass`` and at most ``k`` non-zeros.

    ``k`` at or above n, or None, gives the ordinary projection on the simplex.

    Raises:
        ValueError: k below one, or no entries.
    """
    return simplex_conjugate(point, mass, 1.0, k).dense(point.shape[-1])


def _on_simplex(top: Tensor, index: Tensor, mass: Tensor, gamma: Tensor) -> Conjugate:
    # relative to the best entry: sums of large scores would cost the digits of small masses
    best = torch.where(torch.isfinite(top[..., :1]), top[..., :1], 0)
    below = top - best
    ranks = torch.arange(1, top.shape[-1] + 1, device=top.device, dtype=top.dtype)
    levels = (below.cumsum(-1) - (gamma * mass).unsqueeze(-1)) / ranks
    support = (below > levels).sum(-1, keepdim=True).clamp_(min=1)
    level = levels.gather(-1, support - 1)
    weights = (below - level).clamp_(min=0) / gamma.unsqueeze(-1)
    weights = torch.where((mass > 0).unsqueeze(-1), weights, 0)
    used = torch.where(weights > 0, below, 0)
    value = mass * best.squeeze(-1) + (weights * (used - gamma.unsqueeze(-1) / 2 * weights)).sum(-1)
    threshold = (level + best).squeeze(-1)
    return Conjugate(value, weights, index, threshold, top[..., -1])


def _along(given: float | Tensor, scores: Tensor) -> Tensor:
    return torch.as_tensor(given, dtype=scores.dtype, device=scores.device).expand(scores.shape[:-1])


def _kept(scores: Tensor, k: int | None) -> int:
    if scores.dim() < 1 or scores.shape[-1] < 1 or (k is not None and k < 1):
        raise ValueError(
            f"k must be at least 1 and vectors not empty, got k={k}, shape {tuple(scores.shape)}"
        )
    return scores.shape[-1] if k is None else min(k, scores.shape[-1])
