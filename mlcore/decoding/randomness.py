"""Where every random decision of a decoding method comes from.

Methods draw tokens and decide acceptances only through a :class:`Source`. A seeded one repeats a run; one that explores
every branch turns a run into the exact law of its output, which is how the tests prove the samplers.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

_DRAWS = 4096
_BELOW_ONE = 1 - 2.0**-40  # a uniform times a total stays below the total


class Source(Protocol):
    """Random decisions."""

    def sample(self, laws: Tensor) -> list[int]:
        """One token of each of ``laws`` (R, V), non-negative with a positive sum; independent of each other."""

    def accept(self, chance: float) -> bool:
        """True with probability ``chance``, clamped to [0, 1]."""


class Seeded:
    """Pseudo-random decisions that the same ``seed`` repeats, on whatever device the laws are."""

    def __init__(self, seed: int) -> None:
        self._generator = torch.Generator().manual_seed(seed)
        self._uniforms = torch.empty(0, dtype=torch.float64)
        self._floats: list[float] = []
        self._next = 0

    def sample(self, laws: Tensor) -> list[int]:
        rows = laws.shape[0]
        first = self._take(rows)
        uniforms = self._uniforms[first : first + rows].unsqueeze(1).to(laws.device)
        sums = laws.cumsum(-1, dtype=torch.float64)
        found: list[int] = torch.searchsorted(sums, uniforms * sums[:, -1:], right=True).squeeze(1).tolist()
        return found

    def accept(self, chance: float) -> bool:
        place = self._take(1)  # may draw new ones: look only then
        return self._floats[place] < chance

    def _take(self, count: int) -> int:
        if self._next + count > len(self._floats):
            drawn = torch.rand(max(_DRAWS, count), generator=self._generator, dtype=torch.float64)
            self._uniforms = drawn * _BELOW_ONE
            self._floats = self._uniforms.tolist()
            self._next = 0
        self._next += count
        return self._next - count
