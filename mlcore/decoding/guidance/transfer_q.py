"""Transfer Q*: an aligned model steered to another reward while it writes, without training.

Chakraborty et al., NeurIPS 2024, arXiv 2405.20495. At every state the candidates are weighed by what continuing with
the aligned model makes of them: π(z|s) ∝ μ(z|s) exp(TQ*(s, z) / α).
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from mlcore.decoding.answers import Answer
from mlcore.decoding.events import Alternatives, Emitted, Event
from mlcore.decoding.guidance.kl import Departure
from mlcore.decoding.guidance.lookahead import Candidate, GuidedCounts, Lookahead, State
from mlcore.decoding.guidance.options import TransferQ, candidate_count, check_guidance
from mlcore.decoding.guidance.reader import Reader
from mlcore.decoding.guidance.rollouts import PlainRoller, Roller
from mlcore.decoding.guidance.scoring import Decode, Scorer
from mlcore.decoding.guidance.values import tilted
from mlcore.decoding.networks.causal import CausalModel, check_prompts
from mlcore.decoding.randomness import Source
from mlcore.decoding.rewards import Reward
from mlcore.decoding.sampling import Sampling, Warper


def generate(
    aligned: CausalModel,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    transfer: TransferQ,
    reward: Reward,
    decode: Decode,
    source: Source,
    *,
    sft: CausalModel | None = None,
    baseline_reward: Reward | None = None,
    roller: Roller | None = None,
    warper: Warper | None = None,
    alternatives: int = 0,
) -> Iterator[Event]:
    """Continue every one of ``prompts`` (token ids), one after the other, towards a high ``reward``.

    ``decode`` makes the text of an answer from its tokens, which come without end tokens. ``sft`` is the model that
    ``aligned`` was aligned from and ``baseline_reward`` what it was aligned to; either gives the weights of indirect
    transfer. ``roller`` takes the place of the rollouts that ``transfer`` describes, such as
    :class:`~mlcore.decoding.guidance.rollouts.SampledRoller` for SpecTr. Both models are taken with their laws as
    ``sampling`` warps them. A Done carries :class:`~mlcore.decoding.guidance.lookahead.GuidedCounts`. Closing the
    iterator stops after the token at hand.

    Raises:
        InputError: impossible parameters, a missing model or reward, an empty prompt, unknown tokens.
        RewardError: a reward raised, or gave something that is no number.
        LimitError: more work or memory than is allowed; the message holds the estimate.
    """
    check_guidance(transfer, sampling, sft is not None, baseline_reward is not None, aligned.vocabulary)
    warper = warper or Warper(sampling, aligned.vocabulary)
    for model in (aligned, sft or aligned):
        check_prompts(prompts, model.vocabulary, model.context, sampling.max_tokens)
    own = None if transfer.horizon == 0 else (roller or plain_roller(transfer))
    lookahead = Lookahead(
        own,
        Scorer(reward, decode, aligned.ends),
        aligned.ends,
        transfer.estimator,
        Scorer(baseline_reward, decode, aligned.ends) if baseline_reward is not None else None,
        transfer.beta,
        transfer.cap,
        with_candidate=transfer.estimator == "soft" and transfer.reference == "aligned",
        rows=transfer.rows,
    )
    for row, prompt in enumerate(prompts):
        answer = Answer(row, prompt, sampling.max_tokens, aligned, warper)
        yield from _Writer(answer, aligned, sft, warper, transfer, lookahead, source).write(alternatives)


def plain_roller(transfer: TransferQ) -> PlainRoller:
    """The rollouts that ``transfer`` describes."""
    horizon = None if transfer.horizon < 0 else transfer.horizon
    return PlainRoller(
        transfer.rollouts, horizon, transfer.rollout == "greedy", transfer.common, transfer.rows
    )


class _Writer:
    """One answer under Transfer Q*."""

    def __init__(
        self,
        answer: Answer,
        aligned: CausalModel,
        sft: CausalModel | None,
        warper: Warper,
        transfer: TransferQ,
        lookahead: Lookahead,
        source: Source,
    ) -> None:
        self._started = time.perf_counter()
        self._answer, self._transfer, self._lookahead, self._source = answer, transfer, lookahead, source
        self._counts = GuidedCounts()
        answer.counts = self._counts
        capacity = answer.asked + answer.room
        self._aligned = Reader(aligned, warper, answer.ids, capacity)
        self._sft: Reader | None = None
        if sft is not None:
            shared = sft is aligned
            room = min(capacity, sft.context)
            self._sft = self._aligned if shared else Reader(sft, warper, answer.ids, room)
            answer.room = min(answer.room, sft.context - answer.asked)
            self._counts.from_sft = Departure()
        wide = candidate_count(transfer, aligned.vocabulary)
        for reader in {id(r): r for r in (self._aligned, self._sft) if r is not None}.values():
            reader.check_copies(min(transfer.rows, wide * transfer.rollouts), capacity)
        answer.spend("prompt", time.perf_counter() - self._started)

    def write(self, alternatives: int) -> Iterator[Event]:
        answer, scored = self._answer, self._scored()
        while not answer.reason:
            state = self._state()
            law = self._reference(state)[1]
            candidates, log_base = self._candidates(state)
            policy, values = self._policy(state, candidates, log_base)
            which = self._source.sample(policy.unsqueeze(0))[0]
            self._depart(state, candidates, log_base, policy, which)
            for place, token in enumerate(candidates[which]):
                top = 0 if place else alternatives
                event = answer.emit(token, "chosen", target=law if top else None, top=top)
                yield _with_values(event, candidates, values, top)
        self._counts.reward = float(self._lookahead.reward([tuple(answer.ids[answer.asked :])])[0])
        self._counts.rewards = self._scored() - scored
        self._counts.target_calls, self._counts.target_tokens = self._aligned.calls, self._aligned.tokens
        if self._sft is not None and self._sft is not self._aligned:
            self._counts.sft_tokens = self._sft.tokens
        yield answer.done(self._started)

    def _scored(self) -> int:
        baseline = self._lookahead.baseline
        return self._lookahead.reward.scored + (baseline.scored if baseline else 0)

    def _state(self) -> State:
        begun = time.perf_counter()
        law = self._aligned.law()
        sft = law if self._sft is self._aligned else self._sft.law() if self._sft else None
        answer = self._answer
        self._answer.spend("target", time.perf_counter() - begun)
        return State(tuple(answer.ids[answer.asked :]), answer.left, self._aligned, law, self._sft, sft)

    def _reference(self, state: State) -> tuple[Reader, Tensor]:
        """The model μ and its law."""
        if self._transfer.reference == "sft" and state.sft is not None and state.sft_law is not None:
            return state.sft, state.sft_law
        return state.aligned, state.law

    def _candidates(self, state: State) -> tuple[list[Candidate], Tensor]:
        """Candidates and the log-weights (C,) float64 that they have before any value is known.

        The likeliest tokens with their probabilities; or blocks sampled from μ, with the share of the samples that
        each was, as their probability has acted already in the drawing.
        """
        reader, law = self._reference(state)
        wide = candidate_count(self._transfer, len(law))
        length = min(self._transfer.block, state.room)
        if self._transfer.block == 1:
            best = law.double().topk(wide)
            kept = best.values > 0
            tokens: list[int] = best.indices[kept].tolist()
            return [(token,) for token in tokens], best.values[kept].log().cpu()
        firsts: list[Candidate] = [(token,) for token in self._source.sample(law.expand(wide, -1))]
        blocks: list[Candidate] = [
            first for first in firsts if length == 1 or first[0] in self._lookahead.ends
        ]
        going = [first for first in firsts if length > 1 and first[0] not in self._lookahead.ends]
        if going:
            roller = PlainRoller(rows=self._transfer.rows, horizon=length - 1)
            rolled = roller.roll(reader, going, state.room - 1, self._source)
            blocks += [(*going[each.candidate], *each.tokens) for each in rolled]
        found = Counter(blocks)
        shares = torch.tensor(list(found.values()), dtype=torch.float64) / wide
        return list(found), shares.log()

    def _policy(
        self, state: State, candidates: list[Candidate], log_base: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """The policy (C,) over ``candidates`` and their values; a single one is not valued."""
        if len(candidates) == 1:
            return torch.ones(1, dtype=torch.float64), None
        begun = time.perf_counter()
        values = self._lookahead(state, candidates, self._source, self._counts).values
        self._answer.spend("lookahead", time.perf_counter() - begun)
        return tilted(log_base, values, self._transfer.alpha, self._transfer.mode), values

    def _depart(
        self, state: State, candidates: list[Candidate], log_base: Tensor, policy: Tensor, which: int
    ) -> None:
        """How far this decision went: for sampled blocks an upper bound in expectation, by the data processing
        inequality, as the law of what was drawn and chosen is known, but not that of the block alone."""
        self._counts.from_reference.add(policy, log_base, which)
        if self._counts.from_sft is None or state.sft is None or state.sft_law is None:
            return
        reader, law = self._reference(state)
        log_sft = log_base
        if reader is not state.sft:
            rows = self._transfer.rows
            theirs = state.sft.log_likelihoods(candidates, state.sft_law, rows).sum(1)
            log_sft = log_base + theirs - reader.log_likelihoods(candidates, law, rows).sum(1)
        self._counts.from_sft.add(policy, log_sft, which)


def _with_values(event: Emitted, candidates: list[Candidate], values: Tensor | None, top: int) -> Emitted:
    """``event`` with the best value of every first token, the ``top`` best of them."""
    if not top or values is None:
        return event
    best: dict[int, float] = {}
    for candidate, value in zip(candidates, values.tolist(), strict=True):
        best[candidate[0]] = max(value, best.get(candidate[0], -math.inf))
    pairs = sorted(best.items(), key=lambda pair: -pair[1])[:top]
    return replace(event, alternatives=replace(event.alternatives or Alternatives(), values=tuple(pairs)))
