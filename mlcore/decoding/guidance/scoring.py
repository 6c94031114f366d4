"""Rewards of answers given as tokens: cut at their end, decoded, scored in batches, remembered."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mlcore.decoding.rewards import Reward, guarded

Decode = Callable[[Sequence[int]], str]  #: tokens of an answer, without end tokens, to its text

#: texts whose rewards are remembered
REMEMBERED = 65_536


class Scorer:
    """``reward`` of the text that ``decode`` makes of an answer; nothing from an end token on reaches either.

    ``scored`` counts the texts that the reward saw.
    """

    def __init__(
        self, reward: Reward, decode: Decode, ends: frozenset[int], remembered: int = REMEMBERED
    ) -> None:
        self._reward, self._decode, self._ends = guarded(reward), decode, ends
        self._remembered = remembered
        self._known: OrderedDict[str, float] = OrderedDict()
        self.scored = 0

    def text(self, tokens: Sequence[int]) -> str:
        """The text of an answer, up to its first end token."""
        end = next((place for place, token in enumerate(tokens) if token in self._ends), len(tokens))
        return self._decode(list(tokens[:end]))

    def __call__(self, answers: Sequence[Sequence[int]]) -> Tensor:
        """The rewards (n,) float64 of n answers, in one call of the reward for the texts that are new to it.

        Raises:
            RewardError: the reward fails.
        """
        texts = [self.text(tokens) for tokens in answers]
        new = list(dict.fromkeys(text for text in texts if text not in self._known))
        found = dict(zip(new, self._reward(new).tolist(), strict=True)) if new else {}
        self.scored += len(new)
        values = [found[text] if text in found else self._recalled(text) for text in texts]
        self._known.update(found)
        while len(self._known) > self._remembered:
            self._known.popitem(last=False)
        return torch.tensor(values, dtype=torch.float64)

    def _recalled(self, text: str) -> float:
        self._known.move_to_end(text)
        return self._known[text]
