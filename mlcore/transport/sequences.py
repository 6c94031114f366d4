"""The transport loss between two sequences of states, which knows about order: CTC meets optimal transport.

``C_ij = |u_i - v_j|^2 / 2 + gamma^2 (s_i - t_j)^2 / 2`` with positions ``s_i = i / (m - 1)`` and
``t_j = j / (n - 1)`` of the real elements (Le et al., ICML 2023). Padding has no weight and no say: a padded batch has
the loss and the gradients of its sequences one by one.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mlcore.transport.costs import SquaredEuclidean
from mlcore.transport.divergence import Divergence, sinkhorn_divergence


def positions(mask: Tensor) -> Tensor:
    """Times 0..1 of the real elements of ``mask`` (batch, length) bool, which come first; 0 where padded.

    In float64, so that states of any type get them to their own last digit.
    """
    last = (mask.sum(1, keepdim=True) - 1).clamp(min=1)
    steps = torch.arange(mask.shape[1], device=mask.device, dtype=torch.float64)
    return torch.where(mask, steps / last, 0.0)


def sequence_cost(
    x: Tensor,
    y: Tensor,
    x_mask: Tensor,
    y_mask: Tensor,
    *,
    gamma: float = 1.0,
    blur: float = 0.05,
    debias: bool = True,
    tolerance: float | None = None,
) -> Divergence:
    """The loss (batch,) between sequences ``x`` (batch, m, d) and ``y`` (batch, n, d), and the plan between them.

    Args:
        x_mask, y_mask: (batch, m) and (batch, n) bool, True for the real elements, at least one in each sequence.
        gamma: weight of the positions; 0 forgets the order.
        blur: the square root of epsilon, in the units of the states.
        debias: the Sinkhorn divergence; without it the entropic value.

    States in half precision are taken to float32, also under autocast: the exponents of small plans need it.

    Raises:
        ValueError: masks that do not fit, or an empty sequence.
    """
    if x_mask.shape != x.shape[:2] or y_mask.shape != y.shape[:2]:
        raise ValueError(
            f"masks {tuple(x_mask.shape)} and {tuple(y_mask.shape)} must fit the sequences "
            f"{tuple(x.shape)} and {tuple(y.shape)}"
        )
    if not bool(x_mask.any(1).all() and y_mask.any(1).all()):
        raise ValueError("a sequence is empty; leave it out of the batch")

    dtype = torch.promote_types(torch.promote_types(x.dtype, y.dtype), torch.float32)

    def placed(states: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        states = states.to(dtype)
        times = gamma * positions(mask).to(dtype)
        real = states.masked_fill(~mask.unsqueeze(2), 0.0)
        weights = mask.to(dtype) / mask.sum(1, keepdim=True)
        return torch.cat([real, times.unsqueeze(2)], 2), weights

    (u, a), (v, b) = placed(x, x_mask), placed(y, y_mask)
    with torch.autocast(x.device.type, enabled=False):
        return sinkhorn_divergence(
            u, v, a, b, epsilon=blur**2, cost=SquaredEuclidean(half=True), debias=debias, tolerance=tolerance
        )
