"""Unregularised optimal transport by the inexact proximal point method, batched with masks.

IPOT (Xie, Wang, Wang and Zha, UAI 2020, arXiv 1802.04307): each outer step solves an entropic problem whose prior is
the previous plan, with one Sinkhorn half-step pair. The proximal term vanishes at the fixed point, so the limit is
a plan of the linear programme, whatever ``beta``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mlcore.transport.solution import status_of

#: alternating fits of the potentials to the plan
_SWEEPS = 200


@dataclass(frozen=True)
class ProximalPlan:
    """What :func:`ipot` returns, one entry per problem."""

    plan: Tensor  # (batch, rows, columns), zero where masked
    cost: Tensor  # (batch,) primal transport cost <C, T>
    row_error: Tensor  # (batch,) L1 distance of the row sums from their marginal
    column_error: Tensor  # (batch,) the same for the columns
    status: Tensor  # (batch,) uint8 of Status: whether the marginals are met to the tolerance
    tolerance: float  # on the larger of both errors, as a share of the mass
    steps: int


@dataclass(frozen=True)
class Certificate:
    """Potentials that bound the optimum from below: ``f_i + g_j <= C_ij`` wherever mass may go."""

    f: Tensor  # (batch, rows), zero where masked
    g: Tensor  # (batch, columns), zero where masked
    dual: Tensor  # (batch,) <a, f> + <b, g>


def ipot(
    cost: Tensor,
    row_marginal: Tensor,
    column_marginal: Tensor,
    *,
    beta: float = 0.5,
    steps: int = 50,
    tolerance: float = 1e-3,
) -> ProximalPlan:
    """Transport plans of a batch of problems.

    Args:
        cost: (batch, rows, columns), finite; entries outside the masks are ignored.
        row_marginal: (batch, rows), non-negative, each problem summing to one; zero marks a padded row.
        column_marginal: (batch, columns), likewise.
        beta: proximal step; smaller is sharper per step. Must be positive.
        steps: outer steps; all of them are done.
        tolerance: L1 error of either marginal, as a share of the mass, up to which the status is CONVERGED.

    The plan carries no gradient: by the envelope theorem the gradient of the cost is that of ``<C, T>`` at fixed
    ``T``, which a caller forms with the returned plan. :func:`certificate` says how far its cost is from the optimum.

    Raises:
        ValueError: a shape, a marginal, ``beta`` or ``steps`` does not fit, or the cost is not finite.
    """
    if cost.dim() != 3 or row_marginal.shape != cost.shape[:2] or column_marginal.shape != cost.shape[::2]:
        raise ValueError(
            f"ipot: cost {tuple(cost.shape)} needs marginals (batch, rows) and (batch, columns), "
            f"got {tuple(row_marginal.shape)} and {tuple(column_marginal.shape)}"
        )
    if beta <= 0 or steps < 1:
        raise ValueError(f"ipot: beta must be positive and steps at least 1, got beta={beta}, steps={steps}")
    with torch.no_grad():
        allowed = (row_marginal > 0).unsqueeze(2) & (column_marginal > 0).unsqueeze(1)
        if not torch.isfinite(cost[allowed]).all():
            raise ValueError("ipot: the cost is not finite where mass may go; check the embeddings for NaN")
        tiny = torch.finfo(cost.dtype).tiny
        kernel = torch.where(allowed, -cost / beta, -torch.inf)
        # each column's best entry becomes one: constants per column do not change the plan
        kernel = (kernel - kernel.amax(1, keepdim=True).clamp(min=-1e30)).exp() * allowed
        plan = allowed * row_marginal.unsqueeze(2) * column_marginal.unsqueeze(1)
        rows, columns = row_marginal.unsqueeze(2), column_marginal.unsqueeze(1)
        column_scale = columns
        for _ in range(steps):  # in place: small problems cost what their operations cost to start
            plan.mul_(kernel)
            row_scale = rows / torch.bmm(plan, column_scale.mT).clamp_(min=tiny)
            column_scale = columns / torch.bmm(row_scale.mT, plan).clamp_(min=tiny)
            plan.mul_(row_scale).mul_(column_scale)
        value = (plan * cost.masked_fill(~allowed, 0)).sum((1, 2))
        row_error = (plan.sum(2) - row_marginal).abs().sum(1)
        column_error = (plan.sum(1) - column_marginal).abs().sum(1)
        worst = torch.maximum(row_error, column_error)
        status = status_of(worst, row_marginal.sum(1), tolerance, torch.isfinite(value))
        return ProximalPlan(plan, value, row_error, column_error, status, tolerance, steps)


@torch.no_grad()
def certificate(cost: Tensor, row_marginal: Tensor, column_marginal: Tensor, plan: Tensor) -> Certificate:
    """Dual potentials from a plan of :func:`ipot`: its cost is at most ``cost - dual`` above the optimum.

    At the optimum the potentials differ along an entry of the plan by its cost. ``g`` starts as the mean of ``C``
    under each column of the plan and is made to agree with the rows and back (c-transforms), until what is left
    satisfies every constraint. Arguments as for :func:`ipot`; ``plan`` (batch, rows, columns).
    """
    real_rows, real_columns = row_marginal > 0, column_marginal > 0
    allowed = real_rows.unsqueeze(2) & real_columns.unsqueeze(1)
    closed = torch.where(allowed, cost, torch.inf)
    open_cost = torch.where(allowed, cost, 0)
    share = plan / plan.sum(1, keepdim=True).clamp_min(torch.finfo(plan.dtype).tiny)
    back = plan / plan.sum(2, keepdim=True).clamp_min(torch.finfo(plan.dtype).tiny)
    f = torch.zeros_like(row_marginal)
    g = torch.zeros_like(column_marginal)
    for _ in range(_SWEEPS):  # C_ij = f_i + g_j on the plan, in the mean
        g = (share * (open_cost - f.unsqueeze(2))).sum(1)
        f = (back * (open_cost - g.unsqueeze(1))).sum(2)
    g = torch.where(real_columns, (closed - f.masked_fill(~real_rows, 0).unsqueeze(2)).amin(1), 0)
    f = torch.where(real_rows, (closed - g.unsqueeze(1)).amin(2), 0)
    dual = (row_marginal * f).sum(1) + (column_marginal * g).sum(1)
    return Certificate(f, g, dual)
