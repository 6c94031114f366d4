"""Seeded problems for the tests of the solvers."""

from __future__ import annotations

import torch
from torch import Tensor


def clouds(batch: int, n: int, m: int, d: int = 2, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Two batches of points in float64."""
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, n, d, generator=rng, dtype=torch.float64)
    return x, 0.7 * torch.randn(batch, m, d, generator=rng, dtype=torch.float64) + 0.5


def ragged(batch: int, n: int, m: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, list[tuple[int, int]]]:
    """Squared distances, random weights on the first so many rows and columns, and those numbers."""
    rng = torch.Generator().manual_seed(seed + 1)
    x, y = clouds(batch, n, m, seed=seed)
    sizes = [
        (int(torch.randint(1, n + 1, (), generator=rng)), int(torch.randint(1, m + 1, (), generator=rng)))
        for _ in range(batch)
    ]
    a, b = torch.zeros(batch, n, dtype=torch.float64), torch.zeros(batch, m, dtype=torch.float64)
    for row, (rows, columns) in enumerate(sizes):
        for weights, size in ((a, rows), (b, columns)):
            made = torch.rand(size, generator=rng, dtype=torch.float64) + 0.1
            weights[row, :size] = made / made.sum()
    return torch.cdist(x, y).square(), a, b, sizes
