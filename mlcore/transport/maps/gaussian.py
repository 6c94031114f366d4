"""The optimal map between two Gaussians, and so the natural affine guess between any two clouds."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Affine(nn.Module):
    """``T(x) = A (x - m) + n``, the identity until given otherwise."""

    matrix: Tensor
    source_centre: Tensor
    target_centre: Tensor

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.register_buffer("matrix", torch.eye(dimension))
        self.register_buffer("source_centre", torch.zeros(dimension))
        self.register_buffer("target_centre", torch.zeros(dimension))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.source_centre) @ self.matrix.mT + self.target_centre


def gaussian_map(source: Tensor, target: Tensor, share: float = 1e-6) -> Affine:
    """The optimal map for ``|x - y|^2`` between Gaussians with the moments of two clouds (n, d) and (m, d).

    ``A = S^-1/2 (S^1/2 R S^1/2)^1/2 S^-1/2`` with the covariances ``S`` and ``R``, each with ``share`` of its mean
    variance added to the diagonal, so that directions without spread do no harm. Computed in float64, given in the
    type of the source.
    """
    x, y = source.double(), target.double()
    S, R = _covariance(x, share), _covariance(y, share)
    root, inverse = power(S, 0.5), power(S, -0.5)
    found = Affine(x.shape[1]).to(source)
    found.matrix.copy_(inverse @ power(root @ R @ root, 0.5) @ inverse)
    found.source_centre.copy_(x.mean(0))
    found.target_centre.copy_(y.mean(0))
    return found


def power(matrix: Tensor, exponent: float) -> Tensor:
    """A power of a symmetric positive definite matrix (d, d)."""
    values, vectors = torch.linalg.eigh(0.5 * (matrix + matrix.mT))
    smallest = values[-1] * torch.finfo(values.dtype).eps
    return (vectors * values.clamp(min=smallest).pow(exponent)) @ vectors.mT


def _covariance(points: Tensor, share: float) -> Tensor:
    centred = points - points.mean(0)
    found = centred.mT @ centred / len(points)
    ridge = share * found.diagonal().mean().clamp(min=1e-12)
    return found + ridge * torch.eye(len(found), dtype=found.dtype, device=found.device)
