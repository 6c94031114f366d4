"""One column's part of a regularised semi-dual: value, plan and curvature, for all columns at once.

*Plain*: the conjugate of :mod:`.projection`. *Smoothed*: with a proximal term ``mu / 2 |t - t0|^2``
added to the convex hull of the k-sparse quadratic, ``gamma / 2`` times the squared k-support norm, written as
``min_eta sum_i t_i^2 / eta_i`` over ``0 <= eta <= 1, sum_i eta_i <= k`` (Argyriou, Foygel and Srebro, NeurIPS 2012).
With ``v = alpha - c + mu t0 + beta`` the maximiser is piecewise linear in two numbers, ``beta`` and the cut ``kappa``:

    t_i = v_i / (gamma + mu)     where v_i >= kappa (1 + mu / gamma)     (kept whole: eta_i = 1)
    t_i = (v_i - kappa) / mu     where kappa < v_i < kappa (1 + mu / gamma)     (at the tie: 0 < eta_i < 1)
    t_i = 0                      where v_i <= kappa

Given that the ``h`` largest entries are whole and the next ``f`` tied, ``sum t = b`` and ``sum eta = k`` are two linear
equations; every (h, f) is tried and the one that contradicts nothing is the solution, exactly, without iterations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from mlcore.transport.ksparse.projection import simplex_conjugate

_ROUNDS = 8
_FAR = -1e30  # below any score


class Columns(NamedTuple):
    """Value and derivatives of a batch of columns at one potential; entries are (batch, m, R)."""

    value: Tensor  # (batch, m): the conjugate
    plan: Tensor  # (batch, m, R)
    place: Tensor  # (batch, m, R): position in the list
    beta: Tensor  # (batch, m): the column's potential
    level: Tensor  # (batch, m): entries with a smaller score (bonus included) have no mass
    curvature: Tensor  # (batch, m, R): diagonal of the derivative of the plan at a fixed beta
    tied: Tensor  # (batch, m, R) 0/1
    coupling: Tensor  # (batch, m): what is subtracted for every pair of tied entries
    short: Tensor  # (batch, m) bool: more entries than R are needed


ColumnMap = Callable[
    [Tensor, Tensor, Tensor, int], Columns
]  # scores (..., L), b and mu (...), entries to look at


def widened(columns: ColumnMap, scores: Tensor, b: Tensor, mu: Tensor, size: int) -> Columns:
    """``columns`` of all with ``size`` entries, and of those that need more again with twice as many."""
    found = columns(scores, b, mu, size)
    if size >= scores.shape[-1] or not bool(found.short.any()):
        return found
    short = found.short
    wide = widened(columns, scores[short], b[short], mu[short], 2 * size)
    extra = wide.plan.shape[-1] - found.plan.shape[-1]
    merged = []
    for narrow, replacement in zip(found, wide, strict=True):
        padded = torch.nn.functional.pad(narrow, (0, extra)) if narrow.dim() > short.dim() else narrow.clone()
        padded[short] = replacement
        merged.append(padded)
    return Columns(*merged)


def plain_columns(scores: Tensor, b: Tensor, gamma: float, k: int | None, size: int) -> Columns:
    """The plain semi-dual on listed ``scores`` (batch, m, L); ``size`` entries are looked at when ``k`` is None."""
    found = simplex_conjugate(scores, b, gamma, min(size, scores.shape[-1]) if k is None else k)
    level = torch.maximum(found.cut, found.threshold) if k is not None else found.threshold
    curvature = (found.weights > 0).to(scores.dtype) / gamma
    full = found.cut > found.threshold
    short = full & (b > 0) if k is None else torch.zeros_like(full)
    return Columns(
        found.value,
        found.weights,
        found.place,
        -found.threshold,
        level,
        curvature,
        torch.zeros_like(curvature),
        torch.zeros_like(found.value),
        short,
    )


def smoothed_columns(scores: Tensor, b: Tensor, gamma: float, mu: Tensor, k: int, size: int) -> Columns:
    """The smoothed semi-dual, on the ``size`` best of the listed ``scores`` (..., L); ``b`` and ``mu`` are (...)."""
    size = min(size, scores.shape[-1])
    k = min(k, size)
    top, place = scores.topk(size, dim=-1)
    anchor = top[..., :1].clamp(min=_FAR)
    top = (top - anchor).clamp_(min=_FAR)
    found = _cut(top.view(-1, size), b.reshape(-1), gamma, mu.reshape(-1), k)
    beta, kappa, whole, count, wrong = (each.view(b.shape) for each in found)
    positions = torch.arange(size, device=scores.device)
    kept = positions < whole.unsqueeze(-1)
    tied = (positions < (whole + count).unsqueeze(-1)) & ~kept
    massive = b > 0
    kept &= massive.unsqueeze(-1)
    tied &= massive.unsqueeze(-1)
    raised = (top + beta.unsqueeze(-1)).clamp_(min=0)
    cut, each_mu = kappa.unsqueeze(-1), mu.unsqueeze(-1)
    over = (raised - cut).clamp_(min=0)
    curvature = kept / (gamma + each_mu) + tied / each_mu
    plan = torch.where(tied, over, raised) * curvature
    # max over t and eta of <v, t> - gamma t^2 / (2 eta) - mu t^2 / 2; at a tie eta = gamma (v / kappa - 1) / mu
    whole_part = (kept * raised.square()).sum(-1) / (2 * (gamma + mu))
    tied_part = (tied * over * raised).sum(-1) / (2 * mu)
    beta_raw = beta - anchor.squeeze(-1)
    value = torch.where(massive, whole_part + tied_part - b * beta_raw, 0)
    slack = (k - whole) * (mu / gamma) + count
    coupling = torch.where((count > 0) & massive, 1 / (mu * slack.clamp(min=1e-30)), 0)
    last = (whole + count >= size) & (scores.shape[-1] > size)
    return Columns(
        value,
        plan,
        place,
        beta_raw,
        kappa - beta_raw,
        curvature,
        tied.to(scores.dtype),
        coupling,
        (last | wrong) & massive,
    )


def _cut(
    top: Tensor, b: Tensor, gamma: float, mu: Tensor, k: int
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """``beta``, ``kappa``, ``h`` and ``f`` of sorted vectors (N, R), and whether none fits: (N,) each.

    The active set settles in a few rounds for most vectors; where it does not, every (h, f) is tried.
    """
    sums = torch.cat([torch.zeros_like(top[:, :1]), top.cumsum(1)], 1)
    whole = torch.full_like(b, k, dtype=torch.long)
    tied = torch.zeros_like(whole)
    beta, kappa, wrong = torch.zeros_like(b), torch.zeros_like(b), torch.zeros_like(b, dtype=torch.bool)
    open_ = torch.arange(len(b), device=b.device)
    h, f, part = whole, tied, (top, sums, b, mu)
    for _ in range(_ROUNDS):
        beta[open_], kappa[open_], next_h, next_f, settled = _round(*part, h, f, gamma, k)
        whole[open_], tied[open_] = next_h, next_f
        unsettled = (~settled).nonzero().squeeze(1)
        open_, h, f = open_[unsettled], next_h[unsettled], next_f[unsettled]
        if len(open_) == 0:
            return beta, kappa, whole, tied, wrong
        top_, sums_, b_, mu_ = part
        part = (top_[unsettled], sums_[unsettled], b_[unsettled], mu_[unsettled])
    found = _try_all(*part, gamma, k)
    beta[open_], kappa[open_], whole[open_], tied[open_], wrong[open_] = found
    return beta, kappa, whole, tied, wrong


def _round(
    top: Tensor, sums: Tensor, b: Tensor, mu: Tensor, h: Tensor, f: Tensor, gamma: float, k: int
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Solve for one (h, f) and count who is whole and tied then; settled where nothing changes."""
    first = sums.gather(1, h.unsqueeze(1)).squeeze(1)
    second = sums.gather(1, (h + f).unsqueeze(1)).squeeze(1) - first
    last = top.gather(1, (h - 1).clamp(min=0).unsqueeze(1)).squeeze(1)
    beta, kappa = _solve(first, second, last, b, h, f, gamma, mu, k)
    above = (top >= (kappa * (1 + mu / gamma) - beta).unsqueeze(1)).sum(1)
    positive = (top > (kappa.clamp(min=0) - beta).unsqueeze(1)).sum(1)
    few = positive <= k
    next_h = torch.where(few, positive.clamp(min=1), above.clamp(max=k - 1))
    next_f = torch.where(few, 0, positive - next_h)
    settled = (next_h == h) & (next_f == f) & (few | (above < k)) & (kappa >= 0)
    return beta, kappa, next_h, next_f, settled


def _solve(
    whole_sum: Tensor,
    tied_sum: Tensor,
    last: Tensor,
    b: Tensor,
    h: Tensor,
    f: Tensor,
    gamma: float,
    mu: Tensor,
    k: int,
) -> tuple[Tensor, Tensor]:
    """``beta`` and ``kappa`` if the ``h`` largest are whole and the next ``f`` tied; ``last`` is the h-th largest."""
    delta = mu / gamma
    slack = torch.where(f > 0, (k - h) * delta + f, 1.0)
    share = torch.where(f > 0, (k - h) / (gamma * slack), 0.0)
    beta = (b - whole_sum / (gamma + mu) - share * tied_sum) / (h / (gamma + mu) + share * f)
    # with a clean cut any kappa between the neighbours would do; with fewer than k there is none
    clean = torch.where(h == k, (last + beta) / (1 + delta), 0)
    return beta, torch.where(f > 0, (tied_sum + f * beta) / slack, clean)


def _try_all(
    top: Tensor, sums: Tensor, b: Tensor, mu: Tensor, gamma: float, k: int
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The same as :func:`_cut`: the (h, f) that contradicts its conditions least."""
    size = top.shape[1]
    pairs = [(h, 0) for h in range(1, k + 1)]
    pairs += [(h, f) for h in range(k) for f in range(k - h + 1, size - h + 1)]
    h, f = torch.tensor(pairs, device=top.device).unbind(1)
    edge = torch.full_like(top[:, :1], torch.inf)
    bounded = torch.cat([edge, top, -edge], 1)  # bounded[:, i] is the i-th largest
    each_mu = mu.unsqueeze(1)
    beta, kappa = _solve(
        sums[:, h], sums[:, h + f] - sums[:, h], bounded[:, h], b.unsqueeze(1), h, f, gamma, each_mu, k
    )
    upper, lower = kappa * (1 + each_mu / gamma) - beta, kappa - beta
    tied = torch.maximum(upper - bounded[:, h], bounded[:, h + 1] - upper)
    tied = torch.maximum(tied, torch.maximum(lower - bounded[:, h + f], -kappa))
    wrong = torch.where(f > 0, tied, -bounded[:, h] - beta)
    wrong = torch.maximum(wrong, bounded[:, h + f + 1] - lower).nan_to_num_(nan=torch.inf)
    worst, best = wrong.min(1)
    row = best.unsqueeze(1)
    scale = b * (gamma + mu)
    return (
        beta.gather(1, row).squeeze(1),
        kappa.gather(1, row).squeeze(1),
        h[best],
        f[best],
        worst > 1e-3 * scale,
    )
