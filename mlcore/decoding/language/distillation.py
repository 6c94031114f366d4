"""The losses of a language model: cross-entropy on data, and for a draft its overlap with the target.

A draft token is accepted with probability ``sum_x min(p(x), q(x)) = 1 - TV(p, q)`` (Leviathan et al., arXiv
2211.17192), so a draft is trained for that number itself, beside the KL divergence, whose gradient does not vanish
where the laws do not meet (Zhou et al., DistillSpec, arXiv 2310.08461).
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def cross_entropy(logits: Tensor, wanted: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean of ``-log p(wanted)``: ``logits`` (n, V), ``wanted`` (n,) int64, ``weights`` (n,)."""
    losses = functional.cross_entropy(logits, wanted, reduction="none")
    return (losses * weights).sum() / weights.sum()


def overlap(draft: Tensor, target: Tensor) -> Tensor:
    """``sum_x min(p, q)`` of the laws of two sets of logits (n, V): (n,), the chance that a draft is accepted."""
    return draft.softmax(-1).minimum(target.softmax(-1)).sum(-1)


def distillation(
    draft: Tensor, target: Tensor, weights: Tensor, overlap_weight: float
) -> tuple[Tensor, Tensor]:
    """``w (1 - overlap) + (1 - w) KL(q || p)`` in the weighted mean, and the mean overlap; logits (n, V)."""
    shared = overlap(draft, target)
    divergence = functional.kl_div(
        draft.log_softmax(-1), target.log_softmax(-1), reduction="none", log_target=True
    ).sum(-1)
    losses = overlap_weight * (1 - shared) + (1 - overlap_weight) * divergence
    total = weights.sum()
    return (losses * weights).sum() / total, (shared.detach() * weights).sum() / total
