"""Optimal transport with membership cost: which of k drafted tokens may stand for one of the target law.

Sun et al., "SpecTr: Fast speculative decoding via optimal transport" (NeurIPS 2023, arXiv 2310.15141). Drafts
``X_1..X_k`` are independent from ``p``, the output ``Y`` must follow ``q``, and ``P(Y not in {X_1..X_k})`` is what a
coupling pays. k-sequential selection (K-SEQ) tries the drafts in turn with a division factor ``rho`` in [1, k]:

    beta(rho)  = sum_x min(p(x), q(x) / rho)            one try is accepted
    p_acc(rho) = 1 - (1 - beta)^k                       one of k tries is accepted
    X_i is accepted with probability min(1, q(X_i) / (rho p(X_i))); after k rejections Y follows the residual
    p_res      ~ q - s min(rho p, q),  s = p_acc / (rho beta)

which has the law ``q`` exactly when ``s <= 1``, that is ``p_acc <= rho beta``. The smallest such factor, ``rho*``,
accepts most; there ``s = 1``.

Everywhere ``p`` (draft) and ``q`` (target) are (..., V), float32 or float64, non-negative with sum one; tokens that
only pad the vocabulary have zero in both. ``k``, ``rho`` and results are (...,); ``k`` may also be one int.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

EMPTY = 1e-12  # a residual of less mass is rounding noise, reached with about that probability
HALVINGS = {torch.float32: 24, torch.float64: 52}  # as many as the mantissa has bits
SNAP = {torch.float32: 1e-5, torch.float64: 1e-10}  # s that close to 1 is rho* up to rounding


class Selection(NamedTuple):
    """What :func:`select` chose."""

    token: Tensor  # (...,) int64
    accepted: Tensor  # (...,) int64, the place of the accepted draft, or -1 for a token of the residual


def optimal_acceptance(p: Tensor, q: Tensor, k: int | Tensor) -> Tensor:
    """The largest ``P(Y in {X_1..X_k})`` of any valid coupling, (...,).

    ``alpha_k = min_H q(H) + 1 - p(H)^k`` over sets of tokens (Hu et al., arXiv 2502.18779): the objective is concave
    in the indicator of ``H``, so a prefix of the tokens sorted by ``q / p`` attains it. O(V log V); sums in float64.

    Raises:
        ValueError: shapes or types that do not fit.
    """
    tries = _tries(p, q, k)
    wide_p, wide_q = p.double(), q.double()
    order = torch.where(wide_p > 0, wide_q / wide_p, torch.inf).argsort(-1)
    inside_p, inside_q = (each.gather(-1, order).cumsum(-1).clamp(max=1) for each in (wide_p, wide_q))
    best = (inside_q + 1 - inside_p.pow(tries.double().unsqueeze(-1))).amin(-1)
    return torch.where(tries > 0, best.clamp(max=1), 0).to(p.dtype)


def one_try_acceptance(p: Tensor, q: Tensor, rho: Tensor) -> Tensor:
    """``beta(rho) = sum_x min(p, q / rho)``, (...,)."""
    return torch.minimum(p, q / rho.unsqueeze(-1)).sum(-1).clamp(max=1)


def acceptance_probability(p: Tensor, q: Tensor, k: int | Tensor, rho: Tensor) -> Tensor:
    """``p_acc = 1 - (1 - beta(rho))^k``, (...,)."""
    return _any_of(one_try_acceptance(p, q, rho), _tries(p, q, k))


@torch.no_grad()
def division_factor(p: Tensor, q: Tensor, k: int | Tensor) -> Tensor:
    """``rho*``: the smallest ``rho`` in [1, k] with ``rho beta(rho) >= p_acc(rho)``, (...,).

    The difference of both sides does not decrease in ``rho``; it is halved down to rounding and the upper end, which
    is valid, is returned. ``rho*`` depends on ``k``: when fewer drafts survive, compute it again. 1 for disjoint laws,
    where every factor will do.

    Raises:
        ValueError: shapes or types that do not fit.
    """
    tries = _tries(p, q, k)
    low = torch.ones(p.shape[:-1], dtype=p.dtype, device=p.device)
    high = tries.clamp(min=1).to(p.dtype).expand(low.shape)
    for _ in range(HALVINGS[p.dtype]):
        rho = 0.5 * (low + high)
        beta = one_try_acceptance(p, q, rho)
        valid = rho * beta >= _any_of(beta, tries)
        low, high = torch.where(valid, low, rho), torch.where(valid, rho, high)
    return high


@torch.no_grad()
def division_factor_of_one(p: Tensor, q: Tensor, k: int) -> float:
    """:func:`division_factor` for one pair of laws (V,), in a handful of operations instead of a bisection over V.

    In [1, k] a token with ``q <= p`` always gives ``q`` to ``rho beta`` and one with ``q >= k p`` always ``rho p``, so
    that the root is sought among the few in between, whose quotients are its breakpoints. The valid end is returned.
    """
    if k <= 1:
        return 1.0
    above = q > p
    steep = q >= k * p
    low = above.logical_not()
    fixed = float(q.masked_fill(~low, 0).sum(dtype=torch.float64))
    slope = float(p.masked_fill(~(steep & above), 0).sum(dtype=torch.float64))
    between = (above & ~steep).nonzero().squeeze(-1)
    some_p, some_q = p[between].double(), q[between].double()
    quotients, order = (some_q / some_p).sort()
    # of the tokens between, those before a breakpoint give q, the others rho p
    gone = fixed + torch.cat([some_q.new_zeros(1), some_q[order].cumsum(0)])
    rest = slope + some_p.sum() - torch.cat([some_p.new_zeros(1), some_p[order].cumsum(0)])
    breaks = quotients.tolist()
    masses, slopes = gone.tolist(), rest.tolist()

    def valid(rho: float, mass: float, slope: float) -> bool:
        beta = min(1.0, mass / rho + slope)
        return rho * beta >= 1 - (1 - beta) ** k

    first, last = 0, len(breaks)
    while first < last:  # the first breakpoint that is valid ends the segment of the root
        middle = (first + last) // 2
        if valid(breaks[middle], masses[middle], slopes[middle]):
            last = middle
        else:
            first = middle + 1
    left = breaks[first - 1] if first else 1.0
    right = breaks[first] if first < len(breaks) else float(k)
    for _ in range(HALVINGS[torch.float64]):
        rho = 0.5 * (left + right)
        if valid(rho, masses[first], slopes[first]):
            right = rho
        else:
            left = rho
    return right


def accept_probability(p_x: Tensor, q_x: Tensor, rho: Tensor) -> Tensor:
    """``min(1, q(x) / (rho p(x)))`` for drafts with the probabilities ``p_x`` and ``q_x``; all of one shape.

    A token that the target never emits is rejected, also where ``p_x`` is zero.
    """
    sure = (q_x > 0) & (q_x >= rho * p_x)
    return torch.where(sure, 1, q_x / (rho * p_x).masked_fill(sure | (p_x <= 0), 1))


def residual(p: Tensor, q: Tensor, rho: Tensor, k: int | Tensor | None = None) -> Tensor:
    """The law of the token after every draft was rejected, (..., V).

    Without ``k``, ``rho`` is taken to be ``rho*``: ``p_res ~ max(q - rho p, 0)``, which never equals a draft. With
    ``k`` any valid ``rho`` gives the exact law: ``p_res ~ q - s min(rho p, q)``. Where the residual has no mass it
    cannot be reached but for rounding, and is ``q``.
    """
    share = torch.ones_like(rho) if k is None else _share(p, q, _tries(p, q, k), rho)
    left = (q - share.unsqueeze(-1) * torch.minimum(rho.unsqueeze(-1) * p, q)).clamp(min=0)
    left = torch.where(left.sum(-1, keepdim=True) < EMPTY, q, left)
    return left / left.sum(-1, keepdim=True)


def output_law(p: Tensor, q: Tensor, k: int | Tensor, rho: Tensor) -> Tensor:
    """The law of the token that :func:`select` gives, (..., V); ``q`` for every valid ``rho``.

    ``P(Y = x) = min(p, q / rho) p_acc / beta + (1 - p_acc) p_res``. For an invalid ``rho`` it shows how far off the
    output is.
    """
    tries = _tries(p, q, k)
    beta = one_try_acceptance(p, q, rho)
    accepted = _any_of(beta, tries)
    per_try = accepted / torch.where(beta > 0, beta, 1)
    accepted_part = per_try.unsqueeze(-1) * torch.minimum(p, q / rho.unsqueeze(-1))
    return accepted_part + (1 - accepted).unsqueeze(-1) * residual(p, q, rho, tries)


@torch.no_grad()
def select(
    drafts: Tensor, p: Tensor, q: Tensor, rho: Tensor, uniforms: Tensor, k: int | Tensor | None = None
) -> Selection:
    """K-SEQ: the first accepted draft, or a token of the residual.

    Args:
        drafts: (..., K) int64, independent samples of ``p`` in the order of sampling, duplicates kept.
        p: (..., V) the law that the drafts were sampled from, after temperature and truncation.
        q: (..., V) target law, likewise.
        rho: (...,) from :func:`division_factor` with the same ``k``; a larger valid one stays exact and accepts less.
        uniforms: (..., K + 1) in [0, 1): one for each draft, the last for the residual. Use float64 where the
            residual's small probabilities matter: float32 has 2^24 values.
        k: how many of the drafts count, from the first; 0 samples ``q``. All of them by default.

    Raises:
        ValueError: shapes or types that do not fit.
    """
    width = drafts.shape[-1]
    tries = _tries(p, q, width if k is None else k)
    if drafts.shape[:-1] != p.shape[:-1] or uniforms.shape != (*p.shape[:-1], width + 1):
        raise ValueError(
            f"select: laws {tuple(p.shape)} need drafts (..., K) and uniforms (..., K + 1), "
            f"got {tuple(drafts.shape)} and {tuple(uniforms.shape)}"
        )
    counted = torch.arange(width, device=p.device) < tries.unsqueeze(-1)
    drafts = torch.where(counted, drafts, 0)
    chance = accept_probability(p.gather(-1, drafts), q.gather(-1, drafts), rho.unsqueeze(-1))
    taken = counted & (uniforms[..., :-1] < chance)
    # a last column that is always taken stands for the residual
    always = torch.ones_like(tries.unsqueeze(-1), dtype=torch.bool).expand(*p.shape[:-1], 1)
    place = torch.cat([taken, always], -1).to(torch.uint8).argmax(-1, keepdim=True)
    corrected = _inverse_cdf(residual(p, q, rho, tries), uniforms[..., -1:])
    token = torch.cat([drafts, corrected], -1).gather(-1, place).squeeze(-1)
    place = place.squeeze(-1)
    return Selection(token, place.masked_fill(place == width, -1))


def _inverse_cdf(law: Tensor, uniform: Tensor) -> Tensor:
    """The token (..., 1) at ``uniform`` (..., 1); never one of probability zero."""
    cdf = law.double().cumsum(-1)
    below_total = torch.nextafter(cdf[..., -1:], torch.zeros_like(cdf[..., -1:]))
    return torch.searchsorted(cdf, torch.minimum(uniform.double() * cdf[..., -1:], below_total), right=True)


def _any_of(beta: Tensor, tries: Tensor) -> Tensor:
    """``1 - (1 - beta)^k``, also accurate for a small ``beta``; 0 for k = 0."""
    return -torch.expm1(torch.special.xlog1py(tries.to(beta.dtype), -beta))


def _share(p: Tensor, q: Tensor, tries: Tensor, rho: Tensor) -> Tensor:
    """``s = p_acc / (rho beta)``, 1 where it is so up to rounding (at ``rho*``), and for disjoint laws."""
    beta = one_try_acceptance(p, q, rho)
    share = _any_of(beta, tries) / (rho * torch.where(beta > 0, beta, 1))
    exact = ((share - 1).abs() < SNAP[p.dtype]) | (beta <= 0)
    return share.masked_fill(exact, 1)


def _tries(p: Tensor, q: Tensor, k: int | Tensor) -> Tensor:
    """``k`` as a tensor that broadcasts with (...,), after a look at the shapes."""
    if p.shape != q.shape or p.dim() < 1 or p.dtype != q.dtype or p.dtype not in HALVINGS:
        raise ValueError(
            "draft and target laws must both be (..., V), float32 or float64, "
            f"got {tuple(p.shape)} {p.dtype} and {tuple(q.shape)} {q.dtype}; pad the smaller vocabulary with zeros"
        )
    tries = torch.as_tensor(k, device=p.device)
    if tries.is_floating_point() or (tries.dim() > p.dim() - 1 and tries.dim() > 0):
        raise ValueError(
            f"k must be an int or an int tensor (...,) for laws {tuple(p.shape)}, got {tuple(tries.shape)}"
        )
    return tries
