"""A model that follows one answer as it grows, and lends copies of what it has read."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from mlcore.decoding.networks.cache import Cache, Memory
from mlcore.decoding.networks.causal import CausalModel, prefill
from mlcore.decoding.networks.limits import check_memory
from mlcore.decoding.sampling import Warper


class Reader:
    """``model`` on ``ids`` (prompt and answer; the list grows outside), with a cache of one row.

    ``calls`` and ``tokens`` count its forward passes after the prompt, and what they scored.
    """

    def __init__(self, model: CausalModel, warper: Warper, ids: list[int], capacity: int) -> None:
        self.model, self.warper, self.ids = model, warper, ids
        self.calls = self.tokens = 0
        self._cache = model.cache(1, capacity)
        prefill(model, self._cache, [ids])

    def law(self) -> Tensor:
        """The warped law (V,) of the token after ``ids``, whose unread part is read."""
        read = self._cache.lengths[0]
        unread = self.ids[read:]
        logits = self.forward(torch.tensor([unread], device=self.model.device), self._cache)[0, -1]
        self._cache.advance(len(unread))
        return self.warper(logits, self.said())

    def forward(self, ids: Tensor, cache: Cache) -> Tensor:
        self.calls += 1
        self.tokens += ids.numel()
        return self.model.forward(ids, cache)

    def copies(self, rows: int, more: int) -> Cache:
        """A cache of ``rows`` copies of what was read, with room for ``more`` tokens."""
        return self._cache.chosen([0] * rows, self._cache.lengths[0] + more)

    def check_copies(self, rows: int, capacity: int) -> None:
        """Raise LimitError when the memory would not hold ``rows`` copies of ``capacity`` tokens."""
        _, layers, _, heads, _, dim = self._cache.held.shape
        held = self._cache.held
        check_memory(Memory(layers, heads, dim), rows, capacity, held.dtype, held.device)

    def said(self) -> Tensor | None:
        """How often each token was said (V,), where a penalty asks for it."""
        return self.warper.counts(self.ids, self.model.device) if self.warper.sampling.penalised else None

    def log_likelihoods(self, sequences: Sequence[Sequence[int]], law: Tensor, rows: int) -> Tensor:
        """The log-probability (R, T) float64 of each token of R continuations; 0 past their ends.

        ``law`` (V,) is that of their first tokens; ``rows`` continuations are scored at once.
        """
        width = max(len(sequence) for sequence in sequences)
        found = torch.zeros(len(sequences), width, dtype=torch.float64)
        for start in range(0, len(sequences), rows):
            part = sequences[start : start + rows]
            found[start : start + rows] = self._scored(part, law, width).cpu()
        return found

    def _scored(self, sequences: Sequence[Sequence[int]], law: Tensor, width: int) -> Tensor:
        padded = [[*sequence, *[0] * (width - len(sequence))] for sequence in sequences]
        ids = torch.tensor(padded, device=law.device)
        laws = law.expand(len(sequences), 1, -1)
        if width > 1:
            logits = self.forward(ids[:, :-1], self.copies(len(sequences), width - 1))
            said = self.said()
            if said is not None:
                said = said + functional.one_hot(ids[:, :-1], self.warper.vocabulary).cumsum(1)
            laws = torch.cat([laws, self.warper(logits, said)], 1)
        each = laws.gather(-1, ids.unsqueeze(-1)).squeeze(-1).double().log()
        lengths = torch.tensor([[len(sequence)] for sequence in sequences], device=law.device)
        return each.masked_fill(torch.arange(width, device=law.device) >= lengths, 0)
