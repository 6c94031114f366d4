"""Newton's method on the semi-dual of entropic transport, for batches of problems with few columns.

With the rows' potentials eliminated, ``D(gamma) = <b, gamma> - eps sum_i a_i LSE_j (gamma_j - C_ij) / eps`` (up to a
constant) is concave in the columns' potentials alone; its Hessian is ``-(diag(P' 1) - P' diag(1/a) P) / eps``. Where
Sinkhorn's rate deteriorates with ``1 / eps``, a few factorisations of (m, m) finish the work. Steps are damped: they
are shortened where they are long in units of ``eps``, and taken back where they do not improve.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mlcore.transport.scaling import Potentials, softmax_columns

#: the longest step of a potential, in units of eps
_LONGEST = 4.0
_SHORTEST = 2.0**-12


def newton(
    minus: Tensor,
    a: Tensor,
    b: Tensor,
    eps: Tensor,
    gamma: Tensor,
    goal: Tensor,
    iterations: int,
) -> Potentials:
    """Improve ``gamma`` (batch, m) until the L1 error of the column sums is below ``goal`` (batch,).

    ``minus`` (batch, m, n) holds finite ``-C``, ``gamma`` is ``-inf`` where masked. ``error`` of the result is that of
    the best ``gamma`` found.
    """
    best = gamma.clone()
    best_error = torch.full_like(eps, torch.inf)
    used = torch.zeros_like(eps, dtype=torch.long)
    rows = torch.arange(len(minus), device=minus.device)
    length = torch.ones_like(eps)  # share of the Newton step that is tried
    held_value = torch.full_like(eps, -torch.inf)
    held, step = gamma, torch.zeros_like(gamma)
    real = b > 0
    for number in range(iterations + 1):
        trial = torch.where(real, held + length.unsqueeze(1) * step, held)
        value, sums, weighted = _evaluate(minus, a, b, eps, trial, real)
        error = (sums - b).abs().sum(1)
        better = (value > held_value) | (error < best_error[rows])
        slack = 4 * torch.finfo(minus.dtype).eps * held_value.abs()
        better |= (value >= held_value - slack) & (length >= 1)
        improved = error < best_error[rows]
        best[rows[improved]], best_error[rows[improved]] = trial[improved], error[improved]
        used[rows] = number
        going = (best_error[rows] > goal[rows]) & torch.isfinite(error) & (length >= _SHORTEST)
        if number == iterations or not bool(going.any()):
            break
        held = torch.where(better.unsqueeze(1), trial, held)
        held_value = torch.where(better, value, held_value)
        fresh = _step(weighted, sums, b, eps, real)
        step = torch.where(better.unsqueeze(1), fresh, step)
        length = torch.where(better, torch.ones_like(length), length / 4)
        if int(going.sum()) <= 0.7 * len(rows):
            minus, a, b, eps, held, step, real = (
                part[going] for part in (minus, a, b, eps, held, step, real)
            )
            rows, length, held_value = rows[going], length[going], held_value[going]
    return Potentials(best, best_error, used)


def _evaluate(
    minus: Tensor, a: Tensor, b: Tensor, eps: Tensor, gamma: Tensor, real: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The semi-dual value (batch,), the column sums, and the plan (rows exact) over the root of its row sums."""
    weights, top, total = softmax_columns(minus, gamma, eps)
    value = (torch.where(real, gamma, 0) * b).sum(1) - eps * (a * (total.log() + top)).sum(1)
    weighted = weights.mul_((a.sqrt() / total).unsqueeze(1))
    sums = torch.bmm(weighted, a.sqrt().unsqueeze(2)).squeeze(2)
    return value, torch.where(real, sums, 0), weighted


def _step(weighted: Tensor, sums: Tensor, b: Tensor, eps: Tensor, real: Tensor) -> Tensor:
    """The damped Newton step (batch, m) of ``gamma``."""
    hessian = torch.bmm(weighted, weighted.mT).neg_()
    # near a permutation the curvature is as small as the mass that strays from it: a damping that did not fall with
    # the error would hold the last digits up
    error = (sums - b).abs().sum(1, keepdim=True) / b.sum(1, keepdim=True)
    damping = error.clamp(min=4 * torch.finfo(b.dtype).eps, max=1e-6)
    diagonal = torch.where(real, sums + damping * torch.maximum(sums, 1e-6 * b), torch.ones_like(sums))
    hessian.diagonal(dim1=1, dim2=2).add_(diagonal)
    # constants do not matter: weigh their direction down instead of leaving the matrix singular
    ones = b / b.sum(1, keepdim=True)
    hessian += ones.unsqueeze(2) * ones.unsqueeze(1) * b.sum(1).view(-1, 1, 1)
    factor, _ = torch.linalg.cholesky_ex(hessian)
    change = torch.cholesky_solve((b - sums).unsqueeze(2), factor).squeeze(2)
    change = torch.where(real & torch.isfinite(change), change, 0)
    longest = change.abs().amax(1, keepdim=True).clamp(min=_LONGEST)
    return eps.unsqueeze(1) * change * (_LONGEST / longest)
