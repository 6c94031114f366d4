"""One column's part of a regularised semi-dual: value, plan and curvature, for all columns at once.

*Plain*: the conjugate of :mod:`mlcore.transport.projection`. *Smoothed*: with a proximal term ``mu / 2 |t - t0|^2``
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

from typing import NamedTuple

import torch
from torch import Tensor

from mlcore.transport.projection import simplex_conjugate


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
        found.index,
        -found.threshold,
        level,
        curvature,
        torch.zeros_like(curvature),
        torch.zeros_like(found.value),
        short,
    )


def smoothed_columns(scores: Tensor, b: Tensor, gamma: float, mu: float, k: int, size: int) -> Columns:
    """The smoothed semi-dual, on the ``size`` best of the listed ``scores`` (batch, m, L)."""
    size = min(size, scores.shape[-1])
    k = min(k, size)
    top, place = scores.topk(size, dim=-1)
    anchor = torch.where(torch.isfinite(top[..., :1]), top[..., :1], 0)
    top = top - anchor
    flat = torch.where(torch.isfinite(top), top, -1e30).view(-1, size)
    beta, kappa, whole, tied_count, wrong = (
        each.view(b.shape) for each in _cut(flat, b.reshape(-1), gamma, mu, k)
    )
    positions = torch.arange(size, device=scores.device)
    whole_mask = positions < whole.unsqueeze(-1)
    tied = (positions < (whole + tied_count).unsqueeze(-1)) & ~whole_mask
    raised, cut = top + beta.unsqueeze(-1), kappa.unsqueeze(-1)
    kept = torch.where(whole_mask, raised / (gamma + mu), torch.where(tied, (raised - cut) / mu, 0)).clamp_(min=0)
    massive = (b > 0).unsqueeze(-1)
    plan = torch.where(massive, kept, 0)
    delta = mu / gamma
    eta = torch.where(tied, (raised / cut - 1) / delta, 1)
    used = torch.where(plan > 0, raised, 0)
    # max over t and eta of <v, t> - gamma t^2 / 2 eta - mu t^2 / 2, less b beta
    conjugate = (eta * used.square() / (2 * (gamma + mu * eta)).nan_to_num(nan=1.0)).nan_to_num(nan=0.0).sum(-1)
    value = torch.where(b > 0, conjugate - b * (beta - anchor.squeeze(-1)), 0)
    curvature = torch.where(whole_mask, 1 / (gamma + mu), torch.where(tied, 1 / mu, 0.0)) * massive
    slack = (k - whole) * delta + tied_count
    coupling = torch.where((tied_count > 0) & (b > 0), 1 / (mu * slack.clamp(min=1e-30)), 0)
    beta = beta - anchor.squeeze(-1)
    last = (whole + tied_count >= size) & (scores.shape[-1] > size) & (b > 0)
    short = last | (wrong > 0)
    return Columns(
        value, plan, place, beta, kappa - beta, curvature, (tied & massive).to(scores.dtype), coupling, short
    )


def _cut(
    top: Tensor, b: Tensor, gamma: float, mu: float, k: int
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """``beta``, ``kappa``, ``h`` and ``f`` of sorted vectors (N, R), and whether no (h, f) fits well: (N,) each."""
    delta, size = mu / gamma, top.shape[1]
    sums = torch.cat([torch.zeros_like(top[:, :1]), top.cumsum(1)], 1)
    edge = torch.full_like(top[:, :1], torch.inf)
    bounded = torch.cat([edge, top, -edge], 1)  # bounded[:, i] is the i-th largest
    pairs = [(h, f) for h in range(k) for f in range(k - h + 1, size - h + 1)]
    mass = b.unsqueeze(1)

    clean = torch.arange(1, k + 1, device=top.device)
    clean_beta = (mass * (gamma + mu) - sums[:, clean]) / clean
    smallest, following = bounded[:, clean] + clean_beta, bounded[:, clean + 1] + clean_beta
    at_k = clean == k
    kappa = torch.where(at_k, smallest / (1 + delta), 0)
    wrong = torch.maximum(-smallest, following - kappa)
    betas, kappas, wrongs = [clean_beta], [kappa], [wrong]
    if pairs:
        h, f = torch.tensor(pairs, device=top.device).unbind(1)
        whole, tied = sums[:, h], sums[:, h + f] - sums[:, h]
        slack = (k - h) * delta + f
        share = (k - h) / (gamma * slack)
        beta = (mass - whole / (gamma + mu) - share * tied) / (h / (gamma + mu) + share * f)
        kappa = (tied + f * beta) / slack
        upper = kappa * (1 + delta) - beta
        lower = kappa - beta
        wrong = torch.maximum(upper - bounded[:, h], bounded[:, h + 1] - upper)
        wrong = torch.maximum(wrong, torch.maximum(lower - bounded[:, h + f], bounded[:, h + f + 1] - lower))
        wrong = torch.maximum(wrong, -kappa)
        betas.append(beta), kappas.append(kappa), wrongs.append(wrong)
    else:
        h = f = clean[:0]
    wrong = torch.cat(wrongs, 1)
    worst, best = wrong.nan_to_num_(nan=torch.inf).min(1)
    row = best.unsqueeze(1)
    scale = torch.maximum(b * (gamma + mu), top[:, 0].abs())
    return (
        torch.cat(betas, 1).gather(1, row).squeeze(1),
        torch.cat(kappas, 1).gather(1, row).squeeze(1),
        torch.cat([clean, h])[best],
        torch.cat([torch.zeros_like(clean), f])[best],
        (worst > 1e-3 * scale).to(top.dtype),
    )
