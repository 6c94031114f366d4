"""Contrastive losses over score matrices."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def symmetric_contrast(scores: Tensor, same: Tensor) -> Tensor:
    """Symmetric in-batch cross-entropy of (n, n) scores whose diagonal holds the true pairs (ORMA eq. 12).

    ``same`` (n, n) bool marks off-diagonal entries that are true as well (another text of the same molecule, or the
    same text); they are left out of both denominators.
    """
    diagonal = torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    scores = scores.masked_fill(same & ~diagonal, -torch.inf)
    labels = torch.arange(len(scores), device=scores.device)
    return (F.cross_entropy(scores, labels) + F.cross_entropy(scores.T, labels)) / 2


def sentence_loss(scores: Tensor, same: Tensor) -> Tensor:
    """Symmetric contrast of (n, n + extra) scores: the extra molecules count as negatives of the texts only."""
    size = len(scores)
    diagonal = torch.eye(size, scores.shape[1], dtype=torch.bool, device=scores.device)
    masked = scores.masked_fill(same & ~diagonal, -torch.inf)
    labels = torch.arange(size, device=scores.device)
    cross = F.cross_entropy
    return (cross(masked, labels) + cross(masked[:, :size].T, labels)) / 2
