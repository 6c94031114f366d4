"""How many drafts of what length pay: measured costs and acceptance, put into the speed model.

    tokens per second = E[tau] / (L c_draft(K) + c_target(K, L + 1) + c_verify)

``E[tau]`` is the mean number of tokens that a round emits. What happens on the first levels of a round does not depend
on how many follow, so that one pilot with the longest drafts tells ``E[tau]`` for all shorter ones: with ``s_i`` the
share of rounds in which position i was passed, ``E[tau](L) = 1 + s_1 + ... + s_L``.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from mlcore.decoding import autoregressive, speculation
from mlcore.decoding.events import Counts, Done, Event
from mlcore.decoding.networks.causal import CausalModel, prefill
from mlcore.decoding.randomness import Seeded
from mlcore.decoding.sampling import Sampling
from mlcore.decoding.speculation import Drafting
from mlcore.decoding.verification import block_verification, k_seq

_REPEATS = 5


@dataclass(frozen=True)
class Row:
    """One combination: the mean number of tokens of a round, its seconds, and how much faster than plain sampling."""

    drafts: int
    length: int
    tokens: float
    seconds: float
    speedup: float


@dataclass(frozen=True)
class Choice:
    """The fastest combination, all that were weighed, and the seconds of a token of plain sampling."""

    drafting: Drafting
    rows: tuple[Row, ...]
    plain: float

    @property
    def pays(self) -> bool:
        """Whether drafting is faster than plain sampling at all."""
        return max(row.speedup for row in self.rows) > 1


def choose(
    target: CausalModel,
    draft: CausalModel,
    prompt: Sequence[int],
    sampling: Sampling,
    *,
    widths: Sequence[int] = (1, 2, 4),
    longest: int = 10,
    tokens: int = 64,
    seed: int = 0,
) -> Choice:
    """Measure on ``prompt`` which K of ``widths`` and which L up to ``longest`` emit most tokens a second.

    For each K a pilot of ``tokens`` tokens is decoded. Raises what :func:`mlcore.decoding.speculation.generate` raises.
    """
    pilot = Sampling(**{**sampling.__dict__, "max_tokens": tokens})
    plain = _counts(autoregressive.generate(target, [prompt], pilot, Seeded(seed)))
    alone = (plain.seconds["target"]) / max(1, plain.emitted)
    rows = []
    for width in widths:
        rule = block_verification if width == 1 else k_seq
        drafting = Drafting(drafts=width, length=longest)
        found = _counts(
            speculation.generate(target, draft, [prompt], pilot, drafting, rule, Seeded(seed)),
        )
        rounds = max(1, found.target_calls)
        drafted = found.seconds["draft"] / max(1, found.draft_calls)
        verified = found.seconds["verify"] / rounds
        expected = 1.0
        for length in range(1, min(longest, len(found.passed)) + 1):
            expected += found.passed[length - 1] / rounds
            seconds = length * drafted + call_seconds(target, width, length + 1, len(prompt)) + verified
            rows.append(Row(width, length, expected, seconds, expected * alone / seconds))
    best = max(rows, key=lambda row: row.speedup)
    return Choice(Drafting(drafts=best.drafts, length=best.length), tuple(rows), alone)


@torch.inference_mode()
def call_seconds(model: CausalModel, rows: int, width: int, held: int) -> float:
    """The median seconds of one call that scores ``width`` tokens in each of ``rows`` rows behind ``held`` tokens."""
    cache = model.cache(rows, held + width + 1)
    prefill(model, cache, [[0] * (held + 1)] * rows)
    ids = torch.zeros(rows, width, dtype=torch.long, device=model.device)
    found = []
    for _ in range(_REPEATS):
        begun = time.perf_counter()
        model.forward(ids, cache)
        if model.device.type == "cuda":
            torch.cuda.synchronize(model.device)
        found.append(time.perf_counter() - begun)
    return sorted(found)[_REPEATS // 2]


def _counts(events: Iterator[Event]) -> Counts:
    return next(event.counts for event in events if isinstance(event, Done))
