"""What a reward is, what those on molecules share, and a guard around those of others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from rdkit import Chem, rdBase
from torch import Tensor

from mlcore.decoding.rewards.texts import Texts
from mlcore.runtime.errors import InputError

#: the reward of a text that is no molecule, and of a molecule for which a reward cannot be computed
FLOOR = 0.0


class RewardError(InputError):
    """A reward failed on a text, or gave something that is no reward."""


class Reward(Protocol):
    """A number for every text, higher is better."""

    @property
    def name(self) -> str:
        """What messages and tables call it."""

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """The rewards (n,) float64 of n texts; each depends on its own text alone."""


class MoleculeReward:
    """A reward in [0, 1] on molecules. Texts that are no molecule get :data:`FLOOR`; a call never raises."""

    name: ClassVar[str]

    def __call__(self, texts: Sequence[str]) -> Tensor:
        batch = Texts.of(texts)
        valid = [(place, mol) for place, mol in enumerate(batch.molecules) if mol is not None]
        found = torch.full((len(batch.distinct),), FLOOR, dtype=torch.float64)
        if valid:
            with rdBase.BlockLogs():
                values = torch.as_tensor(self.values([mol for _, mol in valid]), dtype=torch.float64)
            kept = torch.tensor([place for place, _ in valid])
            found[kept] = torch.where(values.isfinite(), values, FLOOR)
        return found[torch.tensor(batch.places, dtype=torch.int64)]

    def values(self, molecules: Sequence[Chem.Mol]) -> Sequence[float]:
        """The rewards of ``molecules``; NaN where there is none."""
        return [self._safe(mol) for mol in molecules]

    def _safe(self, mol: Chem.Mol) -> float:
        try:
            return self.value(mol)
        except (
            RuntimeError,
            ValueError,
            ArithmeticError,
            LookupError,
        ):  # RDKit's own failed checks among them
            return math.nan

    def value(self, mol: Chem.Mol) -> float:
        """The reward of one molecule, which is not changed."""
        raise NotImplementedError


@dataclass(frozen=True)
class Guarded:
    """A reward whose faults are :class:`RewardError`, with its name and the text at fault."""

    reward: Reward

    @property
    def name(self) -> str:
        return self.reward.name

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """The rewards (n,) float64 on the CPU, all finite.

        Raises:
            RewardError: the reward raised, returned something other than n numbers, or NaN or infinity.
        """
        try:
            values = self.reward(texts)
        except RewardError:
            raise
        except Exception as fault:
            words = f"{type(fault).__name__}: {str(fault)[:200]}"
            raise RewardError(
                f"The reward '{self.name}' failed with {words}.", place=self._culprit(texts), remedy=_REMEDY
            ) from fault
        if not isinstance(values, Tensor) or values.shape != (len(texts),) or values.is_complex():
            got = (
                f"{values.dtype} {tuple(values.shape)}"
                if isinstance(values, Tensor)
                else type(values).__name__
            )
            raise RewardError(
                f"The reward '{self.name}' returned {got} for {len(texts)} texts.",
                place=_named(texts[0]) if len(texts) == 1 else None,
                remedy="It must return a tensor with one real number a text.",
            )
        values = values.detach().to("cpu", torch.float64)
        bad = torch.nonzero(~values.isfinite()).flatten().tolist()
        if bad:
            more = f", and {len(bad) - 1} more" if len(bad) > 1 else ""
            raise RewardError(
                f"The reward '{self.name}' returned {values[bad[0]].item()}.",
                place=_named(texts[bad[0]]) + more,
                remedy=_REMEDY,
            )
        return values

    def _culprit(self, texts: Sequence[str]) -> str:
        """The first text on which the reward fails alone."""
        for text in texts:
            try:
                self.reward([text])
            except Exception:  # noqa: BLE001 - whatever it raises, this is the text
                return _named(text)
        return f"a batch of {len(texts)} texts, none of them alone"


_REMEDY = "It must give every text a finite number, a floor where the text is no molecule."


def _named(text: str) -> str:
    return f"text {text[:80]!r}{' …' if len(text) > 80 else ''}"


def guarded(reward: Reward) -> Guarded:
    """``reward`` behind a guard; as it is where it has one."""
    return reward if isinstance(reward, Guarded) else Guarded(reward)
