"""What a candidate is worth: the estimators of an action value from rewarded rollouts, and the policy tilted by it.

Rollouts of C candidates are rectangles (C, n) in float64. ``log_shares`` is the logarithm of what each rollout stands
for: -log n for n samples, its log-probability where all continuations are enumerated, -inf where there is none; the
shares of a candidate sum to 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mlcore.decoding.guidance.options import Estimator, Mode
from mlcore.runtime.errors import InputError

_LARGEST_EXPONENT = 60.0  # of the released estimator, which has no normaliser to keep it finite


@dataclass(frozen=True)
class Estimate:
    """``values`` (C,) in reward units and the effective number of rollouts (C,) behind each."""

    values: Tensor
    effective: Tensor


def log_weights(rewards: Tensor, baseline: Tensor, beta: float) -> Tensor:
    """log w = (r - r_BL) / β: how much likelier the policy of ``rewards`` makes a rollout than that of ``baseline``.

    Up to a constant of the candidate, where both policies were aligned with KL weight ``beta`` from one SFT model.
    """
    return (rewards - baseline) / beta


def log_weights_of_laws(rewards: Tensor, sft: Tensor, aligned: Tensor, beta: float) -> Tensor:
    """The same without r_BL, from the log-likelihoods of each rollout: log w = r / β + log ρ_sft - log ρ_BL.

    DPO's identity r_BL = β log(ρ_BL / ρ_sft) + const makes the two equal up to a constant, for the β and the reference
    that the aligned model was trained with. As importance weights they are right for any aligned model.
    """
    return rewards / beta + sft - aligned


def estimate(
    estimator: Estimator,
    rewards: Tensor,
    log_shares: Tensor,
    log_weight: Tensor | None = None,
    *,
    beta: float = 1.0,
    cap: float = 0.0,
) -> Estimate:
    """The action values of candidates from the ``rewards`` (C, n) of their rollouts under the aligned model.

    - ``mean``: E[r], direct transfer; takes no weights.
    - ``snis``: E[w r] / E[w], indirect transfer. The normaliser differs from candidate to candidate, so that no
      constant can stand for it.
    - ``soft``: β log E[w]. With α = β around the law that the weights refer to, the policy is exactly the one aligned
      to r.
    - ``released``: E[w r], as the authors' code computes it from one rollout. Not a value: adding a constant to the
      reward changes the policy. Exponents are cut at 60.

    ``cap`` > 0 cuts weights at that multiple of their candidate's mean weight (truncated importance sampling, Ionides
    2008; bias for variance), which a shift of the reward does not change. Without any weight above zero, ``snis``
    falls back to the mean and reports no effective rollout, and ``soft`` is -inf.

    Raises:
        ValueError: weights are missing.
    """
    shares = log_shares.exp()
    if estimator == "mean":
        return Estimate((shares * rewards).sum(-1), effective(log_shares))
    if log_weight is None:
        raise ValueError(f"the estimator '{estimator}' needs weights")
    if estimator == "released":
        weights = log_weight.clamp(max=_LARGEST_EXPONENT).exp()
        return Estimate((shares * weights * rewards).sum(-1), effective(log_shares + log_weight))
    if cap:
        mean = (log_shares + log_weight).logsumexp(-1, keepdim=True)
        log_weight = torch.minimum(log_weight, mean + math.log(cap))
    both = log_shares + log_weight
    found = effective(both)
    if estimator == "soft":
        return Estimate(beta * both.logsumexp(-1), found)
    empty = (found == 0).unsqueeze(-1)
    normalised = torch.where(empty, log_shares, both).softmax(-1)
    return Estimate((normalised * rewards).sum(-1), found)


def effective(log_weight: Tensor) -> Tensor:
    """(Σ w)² / Σ w², the effective sample size of weights (..., n); 0 where all are zero."""
    top = log_weight.amax(-1, keepdim=True)
    weights = (log_weight - torch.where(top.isfinite(), top, 0)).exp()
    squares = weights.square().sum(-1)
    return torch.where(squares > 0, weights.sum(-1).square() / squares.clamp(min=1e-300), 0)


def tilted(log_reference: Tensor, values: Tensor, alpha: float, mode: Mode = "sample") -> Tensor:
    """π(z) ∝ μ(z) exp(Q(z) / α) over candidates (C,); in mode ``greedy`` all on the likeliest.

    argmax over π of E_π[Q] - α KL(π ‖ μ), so α is in units of the reward. Where no candidate is possible (every value
    -inf), μ itself.

    Raises:
        InputError: α is not above zero.
    """
    if not alpha > 0:
        raise InputError(
            "alpha must be above 0.", field="alpha", remedy="Take the mode 'greedy' for its limit."
        )
    scores = log_reference + values / alpha
    if not scores.amax() > -torch.inf:
        scores = log_reference
    if mode == "greedy":
        return torch.zeros_like(scores).scatter_(0, scores.argmax(0, keepdim=True), 1)
    return scores.softmax(0)
