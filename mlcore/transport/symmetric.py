"""Entropic transport of a measure onto itself, which has one potential: ``min_P <P, C> + eps KL(P | a a')``.

Averaging the two half-steps makes the iteration contract fast (Feydy et al., AISTATS 2019): in the scaling domain,
``u <- sqrt(u a / (K u))``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mlcore.transport.scaling import floor_of, softmax_columns

_LOOK = 4
_SWING = 16.0


def symmetric_potential(
    cost: Tensor, a: Tensor, eps: Tensor, tolerance: float, iterations: int
) -> tuple[Tensor, Tensor]:
    """The potential ``f`` (batch, n) of symmetric costs (batch, n, n), zero where masked, and its L1 error (batch,).

    ``a`` (batch, n) is zero where padded; the costs there are ignored. ``eps`` (batch,).
    """
    width = eps.view(-1, 1, 1)
    real = a > 0
    tiny, lowest = torch.finfo(cost.dtype).tiny, floor_of(cost.dtype)
    phi = torch.where(real, 0.5 * eps.unsqueeze(1) * a.log(), -torch.inf)
    phi = torch.where(real, 0.5 * (phi + _half_step(cost, a, eps, phi)), -torch.inf)

    def made() -> Tensor:
        return (phi.unsqueeze(1) - cost).add_(phi.unsqueeze(2)).div_(width).clamp_(min=lowest).exp_()

    kernel, u = made(), torch.ones_like(a)
    error = torch.full_like(eps, torch.inf)
    for done in range(iterations):
        reached = torch.bmm(u.unsqueeze(1), kernel).squeeze(1)
        if done % _LOOK == 0:
            error = (u * reached - a).abs().sum(1)
            if not bool((error > tolerance * a.sum(1)).any()):
                break
            if float(torch.where(real, u, 1.0).log().abs().max()) > _SWING:
                phi = phi + eps.unsqueeze(1) * torch.where(real, u, 1.0).log()
                kernel, u = made(), torch.ones_like(a)
                continue
        u = (u * a / reached.clamp_(min=tiny)).sqrt_()
    phi = phi + eps.unsqueeze(1) * torch.where(real, u, 1.0).log()
    return torch.where(real, phi - eps.unsqueeze(1) * a.log(), 0), error


def _half_step(cost: Tensor, a: Tensor, eps: Tensor, phi: Tensor) -> Tensor:
    """One ordinary update in the log domain; costs are symmetric, so that its columns may be its rows."""
    _, top, total = softmax_columns(cost.neg(), phi, eps)
    return eps.unsqueeze(1) * (a.log() - top - total.log())
