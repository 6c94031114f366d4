"""Answers sampled through the real code path, their first two tokens counted, and held against the target's own law.

The chance that right samplers fail one of the tests, had every seed been drawn anew: 44 chi-square tests at level 1e-4
(8 quick and 8 long on tiny models, 19 on the shipped pair, 2 between samplers, 4 of the source, 3 of k-sequential
selection) and 2 acceptances held within 3 standard errors (0.27 % each): at most 0.44 % + 0.54 % = 0.98 %. The seeds
are fixed, so that none fails twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from scipy.stats import chi2_contingency, chisquare
from torch import Tensor
from transformers import PreTrainedModel

from mlcore.decoding import autoregressive, spectr, speculative
from mlcore.decoding.events import Drafted, Emitted, Event
from mlcore.decoding.networks.causal import CausalModel
from mlcore.decoding.randomness import Seeded, Source
from mlcore.decoding.sampling import Sampling, Warper
from mlcore.decoding.speculation import Drafting
from mlcore.decoding.verification import Rule, k_seq

LEVEL = 1e-4  # chance that one test fails a right sampler, had its seed been drawn anew
EXPECTED = 5.0  # a bin of less is put together with others

Pairs = Counter[tuple[int, int]]
Law = dict[tuple[int, int], float]


def events(
    method: str,
    target: CausalModel,
    draft: CausalModel,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    source: Source,
    drafting: Drafting,
    rule: Rule = k_seq,
) -> Iterator[Event]:
    """``method``: plain, token, block, batch or tree (SpecTr in that layout)."""
    if method == "plain":
        return autoregressive.generate(target, prompts, sampling, source)
    if method in ("token", "block"):
        return speculative.generate(
            target, draft, prompts, sampling, drafting.length, source, verification=method
        )
    laid = Drafting(drafting.drafts, drafting.length, method)
    return spectr.generate(target, draft, prompts, sampling, laid, source, rule=rule)


def sampled(
    method: str,
    target: CausalModel,
    draft: CausalModel,
    prompt: Sequence[int],
    sampling: Sampling,
    *,
    number: int,
    seed: int,
    drafting: Drafting,
    rows: int = 500,
    rule: Rule = k_seq,
) -> tuple[Pairs, int]:
    """The first two tokens of ``number`` answers (-1 after an end), and how many blocks were verified for them."""
    source, pairs, blocks = Seeded(seed), Pairs(), 0
    rows = 1 if method == "tree" else rows
    for _ in range(number // rows):
        found: list[list[int]] = [[] for _ in range(rows)]
        for event in events(method, target, draft, [prompt] * rows, sampling, source, drafting, rule):
            if isinstance(event, Emitted):
                found[event.row].append(event.token)
            elif isinstance(event, Drafted):
                blocks += 1
        pairs.update((tokens[0], tokens[1] if len(tokens) > 1 else -1) for tokens in found)
    return pairs, blocks


class Scratch:
    """Next-token logits (n, V) float64 of a network that reads every text from its beginning; each text once."""

    def __init__(self, network: PreTrainedModel, rows: int = 64) -> None:
        self._network, self._rows, self._known = network, rows, dict[tuple[int, ...], Tensor]()

    def __call__(self, texts: list[list[int]]) -> Tensor:
        new = [list(text) for text in dict.fromkeys(map(tuple, texts)) if text not in self._known]
        for start in range(0, len(new), self._rows):
            some = new[start : start + self._rows]
            with torch.inference_mode():
                logits = self._network(input_ids=torch.tensor(some), use_cache=False).logits[:, -1].double()
            self._known |= zip(map(tuple, some), logits, strict=True)
        return torch.stack([self._known[tuple(text)] for text in texts])


def exact_law(
    logits: Scratch,
    prompt: Sequence[int],
    sampling: Sampling,
    vocabulary: int,
    ends: frozenset[int] = frozenset(),
    enough: float = 0.0,
) -> Law:
    """The law of the first two tokens; pairs of no mass are left out.

    -1 in second place: the first is an end, or has less probability than ``enough``, and whatever follows is one bin.
    """
    warper = Warper(sampling, vocabulary)

    def laws(texts: list[list[int]]) -> Tensor:
        return warper(logits(texts), torch.stack([warper.counts(text) for text in texts]).double())

    first = laws([list(prompt)])[0]
    said = [token for token, chance in enumerate(first.tolist()) if chance > 0]
    going = [token for token in said if token not in ends and first[token] >= enough]
    law = {(token, -1): float(first[token]) for token in set(said) - set(going)}
    for token, second in zip(
        going, laws([[*prompt, token] for token in going]) if going else (), strict=True
    ):
        chances = (first[token] * second).tolist()
        law |= {(token, other): chance for other, chance in enumerate(chances) if chance > 0}
    return law


def first_p_value(pairs: Pairs, law: Law) -> float:
    """Chi-square of the first token."""
    firsts: tuple[dict[int, float], dict[int, float]] = ({}, {})
    for found, given in zip(firsts, (pairs, law), strict=True):
        for (token, _), value in given.items():
            found[token] = found.get(token, 0) + value
    return _p_value(*firsts)


def pair_p_value(pairs: Pairs, law: Law) -> float:
    """Chi-square of the first two tokens together."""
    counts = Pairs()
    for (token, other), count in pairs.items():
        counts[token, -1 if (token, -1) in law else other] += count
    return _p_value(counts, law)


def two_sample_p_value(one: Pairs, other: Pairs) -> float:
    """Chi-square of two samples of one law; pairs seen fewer than 10 times in both together are one bin."""
    common = [pair for pair in one | other if one[pair] + other[pair] >= 2 * EXPECTED]
    rows = [[counts[pair] for pair in common] for counts in (one, other)]
    for row, counts in zip(rows, (one, other), strict=True):
        row.append(counts.total() - sum(row))
    table = np.array(rows)
    return float(chi2_contingency(table[:, table.sum(0) > 0]).pvalue)


def _p_value(counts: Mapping[Any, float], law: Mapping[Any, float]) -> float:
    """Chi-square of ``counts`` against ``law``, rare bins together; 0 where something of no mass was seen."""
    if set(counts) - set(law):
        return 0.0
    total = sum(counts.values())
    bins = [(chance * total, counts.get(key, 0)) for key, chance in law.items()]
    kept = [pair for pair in bins if pair[0] >= EXPECTED]
    rest = [pair for pair in bins if pair[0] < EXPECTED]
    if rest:
        pooled = (sum(pair[0] for pair in rest), sum(pair[1] for pair in rest))
        if pooled[0] >= EXPECTED or not kept:
            kept.append(pooled)
        else:
            smallest = min(range(len(kept)), key=lambda place: kept[place][0])
            kept[smallest] = (kept[smallest][0] + pooled[0], kept[smallest][1] + pooled[1])
    if len(kept) < 2:
        return 1.0
    expected, observed = np.array(kept).T
    return float(chisquare(observed, expected * total / expected.sum()).pvalue)
