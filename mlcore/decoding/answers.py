"""One answer in the making: its tokens, when it ends, and what was counted on the way."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch
from torch import Tensor

from mlcore.decoding.events import Alternatives, Counts, Done, Emitted, Kind, Reason
from mlcore.decoding.networks.causal import CausalModel
from mlcore.decoding.sampling import Warper


class Answer:
    """The state of one prompt: ``ids`` (prompt and answer), ``reason`` once it is complete."""

    def __init__(
        self, row: int, prompt: Sequence[int], max_tokens: int, model: CausalModel, warper: Warper
    ) -> None:
        self.row, self.ids, self.asked = row, list(prompt), len(prompt)
        self.room = min(max_tokens, model.context - len(prompt))
        self.reason: Reason | None = None
        self.counts = Counts()
        self._short: Reason = "length" if max_tokens <= model.context - len(prompt) else "context"
        self._ends, self._warper = model.ends, warper
        self.said = (
            warper.counts(self.ids, model.device) if warper.sampling.penalised else torch.empty(0)
        )  # (V,) how often each token was said

    @property
    def last(self) -> int:
        return self.ids[-1]

    @property
    def left(self) -> int:
        """How many more tokens there may be."""
        return self.room - self.counts.emitted

    def ends(self, token: int) -> bool:
        """Whether nothing follows ``token``."""
        return token in self._ends

    def spend(self, part: str, seconds: float) -> None:
        self.counts.seconds[part] = self.counts.seconds.get(part, 0.0) + seconds

    def emit(
        self,
        token: int,
        kind: Kind,
        *,
        target: Tensor | None = None,
        draft: Tensor | None = None,
        top: int = 0,
    ) -> Emitted:
        """Add ``token``; ``target`` and ``draft`` (V,) are the laws that it came from."""
        self.ids.append(token)
        self.counts.emitted += 1
        if kind in ("accepted", "corrected", "bonus"):
            setattr(self.counts, kind, getattr(self.counts, kind) + 1)
        if len(self.said):
            self.said[token] += 1
        if self.ends(token):
            self.reason = "end"
        elif not self.left:
            self.reason = self._short
        others = Alternatives(likeliest(target, top), likeliest(draft, top)) if top else None
        return Emitted(self.row, token, kind, others)

    def done(self, started: float) -> Done:
        """The closing event of an answer that began at ``started`` on the performance counter."""
        self.counts.seconds["total"] = time.perf_counter() - started
        return Done(self.row, tuple(self.ids[self.asked :]), self.reason or "length", self.counts)


def likeliest(law: Tensor | None, top: int) -> tuple[tuple[int, float], ...]:
    """The ``top`` likeliest tokens of a law (V,) with their probabilities; those of probability zero are left out."""
    if law is None:
        return ()
    best = law.topk(min(top, law.shape[-1]))
    pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return tuple((token, chance) for token, chance in pairs if chance > 0)
