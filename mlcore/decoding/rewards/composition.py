"""Weighted sums of rewards, and rewards on the scale of reference samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mlcore.decoding.rewards.base import Reward, guarded
from mlcore.decoding.rewards.texts import Texts
from mlcore.runtime.errors import InputError

#: a standard deviation below this counts as this: references that (nearly) agree do not blow differences up
LEAST_STD = 1e-3


@dataclass(frozen=True)
class Weighted:
    """One part of a sum."""

    reward: Reward
    weight: float


@dataclass(frozen=True)
class Sum:
    """r(y) = Σ wᵢ rᵢ(y). Every text is read once for all parts; a part that fails is named by its own name."""

    parts: tuple[Weighted, ...]

    @property
    def name(self) -> str:
        return " + ".join(f"{part.weight:g} × {_bracketed(part.reward)}" for part in self.parts)

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """The sums (n,) float64. Raises :class:`RewardError` where a part fails."""
        batch = Texts.of(texts)
        total = torch.zeros(len(batch), dtype=torch.float64)
        for part in self.parts:
            total += part.weight * guarded(part.reward)(batch)
        return total


def _bracketed(reward: Reward) -> str:
    return f"({reward.name})" if isinstance(reward, Sum) else reward.name


def combine(parts: Sequence[tuple[Reward, float]]) -> Sum:
    """The sum of rewards, each with its weight. Raises ValueError without parts or for a weight that is not finite."""
    if not parts:
        raise ValueError("a sum of rewards needs at least one part")
    if not all(math.isfinite(weight) for _, weight in parts):
        raise ValueError("weights must be finite")
    return Sum(tuple(Weighted(reward, float(weight)) for reward, weight in parts))


@dataclass(frozen=True)
class Standardised:
    """(r(y) - mean) / std, on the scale of the reference samples that mean and std were taken from."""

    reward: Reward
    mean: float
    std: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and math.isfinite(self.std) and self.std > 0):
            raise ValueError("mean must be finite, std finite and above 0")

    @property
    def name(self) -> str:
        return f"standardised {_bracketed(self.reward)}"

    def __str__(self) -> str:
        return f"{self.name}: mean {self.mean:.4g}, standard deviation {self.std:.4g}"

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """The standardised rewards (n,) float64. Raises :class:`RewardError` where the reward fails."""
        return (guarded(self.reward)(texts) - self.mean) / self.std


def standardise(reward: Reward, reference: Sequence[str]) -> Standardised:
    """``reward`` with mean 0 and standard deviation 1 (over n, not n - 1) on the ``reference`` texts.

    All of them count, invalid ones with what the reward gives them. The deviation is at least :data:`LEAST_STD`.

    Raises:
        InputError: fewer than two reference texts.
        RewardError: the reward fails on one.
    """
    if len(reference) < 2:
        raise InputError(
            f"A reward cannot be standardised on {len(reference)} reference texts.",
            field="reference",
            remedy="Give at least two; some hundred samples of the model are usual.",
        )
    values = guarded(reward)(reference)
    std = max(values.std(correction=0).item(), LEAST_STD)
    return Standardised(reward, values.mean().item(), std)
