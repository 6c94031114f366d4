"""How tokens are to be drawn from logits: temperature, truncation and penalties, alike for target and draft.

The law that comes out is the one that is sampled, stored, and tested against: nothing is warped twice or left raw.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mlcore.runtime.errors import InputError
from mlcore.runtime.options import option


@dataclass(frozen=True)
class Sampling:
    """Parameters of a law of the next token; the defaults leave the model's law as it is."""

    max_tokens: int = option(128, "longest answer, in tokens", minimum=1, maximum=4096)
    temperature: float = option(
        1.0, "below one sharpens the law; 0 takes the likeliest token", minimum=0.0, maximum=10.0
    )
    top_k: int = option(0, "only the k likeliest tokens; 0 for all", minimum=0)
    top_p: float = option(
        1.0, "only the likeliest tokens that together have this share", minimum=0.0, maximum=1.0
    )
    repetition_penalty: float = option(
        1.0, "divides the score of what was said already", minimum=0.1, maximum=10.0
    )
    presence_penalty: float = option(
        0.0, "taken from the score of what was said", minimum=-10.0, maximum=10.0
    )
    frequency_penalty: float = option(0.0, "the same, once for each time", minimum=-10.0, maximum=10.0)

    @property
    def penalised(self) -> bool:
        return self.repetition_penalty != 1 or self.presence_penalty != 0 or self.frequency_penalty != 0


class Warper:
    """Logits to laws over ``vocabulary`` tokens under ``sampling``; ``forbidden`` tokens are never drawn.

    Raises:
        InputError: a parameter out of its limits.
    """

    def __init__(self, sampling: Sampling, vocabulary: int, forbidden: tuple[int, ...] = ()) -> None:
        self.sampling, self.vocabulary = sampling, vocabulary
        self._forbidden = torch.tensor(forbidden, dtype=torch.long)
        if not 0 < sampling.top_p <= 1:
            raise InputError("top_p must be above 0 and at most 1.", field="top_p")
        if sampling.repetition_penalty <= 0 or sampling.temperature < 0:
            raise InputError("Temperature and repetition penalty cannot be negative.", field="temperature")
        self.plain = sampling.temperature == 1 and not sampling.top_k and sampling.top_p == 1

    def counts(self, ids: list[int], device: torch.device | str = "cpu") -> Tensor:
        """How often each token was said: (V,) float32; what the penalties act on."""
        if not ids:
            return torch.zeros(self.vocabulary, device=device)
        given = torch.tensor(ids, device=device)
        return torch.bincount(given[given < self.vocabulary], minlength=self.vocabulary).float()

    def __call__(self, logits: Tensor, counts: Tensor | None = None) -> Tensor:
        """The laws (..., V) of ``logits`` (..., W): fewer columns are filled with zeros, surplus ones left out.

        ``counts`` (..., V) is needed where a penalty is set. The order is that of ``transformers``: penalties,
        temperature, top-k, top-p.
        """
        scores = self._fitted(logits)
        if self.sampling.penalised:
            if counts is None:
                raise ValueError("penalties need the counts of what was said")
            scores = self._penalised(scores, counts)
        if not self.sampling.temperature:
            return torch.zeros_like(scores).scatter_(-1, scores.argmax(-1, keepdim=True), 1)
        if self.plain:
            return scores.softmax(-1)
        scores = scores / self.sampling.temperature
        if 0 < self.sampling.top_k < self.vocabulary:
            edge = scores.topk(self.sampling.top_k, -1).values[..., -1:]
            scores = scores.masked_fill(scores < edge, -torch.inf)
        law = scores.softmax(-1)
        return law if self.sampling.top_p == 1 else self._nucleus(law)

    def _fitted(self, logits: Tensor) -> Tensor:
        width = logits.shape[-1]
        if width > self.vocabulary:
            logits = logits[..., : self.vocabulary]
        elif width < self.vocabulary:
            gap = logits.new_full((*logits.shape[:-1], self.vocabulary - width), -torch.inf)
            logits = torch.cat([logits, gap], -1)
        if len(self._forbidden):
            logits = logits.index_fill(-1, self._forbidden.to(logits.device), -torch.inf)
        return logits

    def _penalised(self, scores: Tensor, counts: Tensor) -> Tensor:
        said = counts > 0
        factor = self.sampling.repetition_penalty
        scores = torch.where(said, torch.where(scores > 0, scores / factor, scores * factor), scores)
        less = self.sampling.presence_penalty * said + self.sampling.frequency_penalty * counts
        return scores - less.to(scores.dtype)

    def _nucleus(self, law: Tensor) -> Tensor:
        """The smallest set of the likeliest tokens whose share reaches ``top_p``, normalised."""
        ordered, order = law.sort(stable=True, dim=-1, descending=True)
        before = ordered.cumsum(-1) - ordered
        kept = torch.where(before < self.sampling.top_p, ordered, 0)
        law = torch.zeros_like(law).scatter_(-1, order, kept)
        return law / law.sum(-1, keepdim=True)
