"""Candidates at one state: continued by rollouts, rewarded, and valued."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mlcore.decoding.events import Counts
from mlcore.decoding.guidance.kl import Departure
from mlcore.decoding.guidance.options import Estimator
from mlcore.decoding.guidance.reader import Reader
from mlcore.decoding.guidance.rollouts import Roller, Rollout
from mlcore.decoding.guidance.scoring import Scorer
from mlcore.decoding.guidance.values import Estimate, estimate, log_weights, log_weights_of_laws
from mlcore.decoding.randomness import Source

Candidate = tuple[int, ...]


@dataclass
class GuidedCounts(Counts):
    """What looking ahead adds to the raw counts of one answer.

    ``target_calls`` and ``target_tokens`` include the rollouts. ``effective / valued`` is the mean effective sample
    size; by how much the policy left its reference μ and the SFT model say ``from_reference`` and ``from_sft``.
    """

    decisions: int = 0  # states at which there was a choice
    valued: int = 0  # candidates that were valued by rollouts
    followed: int = 0  # rollouts
    unfinished: int = 0  # of them cut off by the horizon, so that the reward is that of an unfinished text
    effective: float = 0.0  # effective sample sizes, summed over the candidates valued
    least_effective: float | None = None
    sft_tokens: int = 0  # tokens that the SFT model scored, where it is another model
    reward: float | None = None  # of the whole answer
    from_reference: Departure = field(default_factory=Departure)
    from_sft: Departure | None = None


@dataclass(frozen=True)
class State:
    """Prompt and answer so far, as its models have read them; ``room`` more tokens may follow."""

    answer: Candidate
    room: int
    aligned: Reader
    law: Tensor  # (V,) of the aligned model
    sft: Reader | None = None
    sft_law: Tensor | None = None


@dataclass(frozen=True)
class Lookahead:
    """Action values by rollouts of the aligned model.

    Weights, where ``estimator`` takes any, come from ``baseline``, the reward that the model was aligned to, or
    without it from the likelihoods of the aligned and the SFT model. ``with_candidate``: likelihoods include the
    candidate itself, as the soft value around the aligned model needs.
    """

    roller: Roller | None  # None: candidates are rewarded as they stand
    reward: Scorer
    ends: frozenset[int]
    estimator: Estimator = "mean"
    baseline: Scorer | None = None
    beta: float = 1.0
    cap: float = 0.0
    with_candidate: bool = False
    rows: int = 256

    def __call__(
        self, state: State, candidates: Sequence[Candidate], source: Source, counts: GuidedCounts
    ) -> Estimate:
        """The values (C,) of ``candidates``, none empty, all of one length but those that complete the answer.

        Raises:
            RewardError: a reward fails.
        """
        rollouts = self.continued(state, candidates, source)
        answers = [(*state.answer, *candidates[each.candidate], *each.tokens) for each in rollouts]
        rewards = self.reward(answers)
        weights = (
            None if self.estimator == "mean" else self._weights(state, candidates, rollouts, answers, rewards)
        )
        shape = (len(candidates), max(_places(rollouts)) + 1)
        index = torch.tensor([each.candidate for each in rollouts]), torch.tensor(_places(rollouts))
        shares = torch.tensor([each.share for each in rollouts], dtype=torch.float64).log()
        found = estimate(
            self.estimator,
            torch.zeros(shape, dtype=torch.float64).index_put(index, rewards),
            torch.full(shape, -torch.inf, dtype=torch.float64).index_put(index, shares),
            None if weights is None else torch.zeros(shape, dtype=torch.float64).index_put(index, weights),
            beta=self.beta,
            cap=self.cap,
        )
        self._count(counts, candidates, rollouts, found)
        return found

    def complete(self, state: State, candidate: Candidate) -> bool:
        """Whether the answer ends with ``candidate``."""
        return candidate[-1] in self.ends or len(candidate) >= state.room

    def continued(self, state: State, candidates: Sequence[Candidate], source: Source) -> list[Rollout]:
        """Rollouts of every candidate, in one set of batches; nothing follows a candidate that is complete."""
        closed = [self.complete(state, candidate) for candidate in candidates]
        if self.roller is None:
            return [Rollout(number, (), done, 1.0) for number, done in enumerate(closed)]
        rollouts = [Rollout(number, (), True, 1.0) for number, done in enumerate(closed) if done]
        going = [number for number, done in enumerate(closed) if not done]
        if going:
            room = state.room - len(candidates[going[0]])
            rolled = self.roller.roll(state.aligned, [candidates[number] for number in going], room, source)
            rollouts += [
                Rollout(going[each.candidate], each.tokens, each.finished, each.share) for each in rolled
            ]
        return rollouts

    def _weights(
        self,
        state: State,
        candidates: Sequence[Candidate],
        rollouts: Sequence[Rollout],
        answers: Sequence[Candidate],
        rewards: Tensor,
    ) -> Tensor:
        """log w (n,) of each rollout."""
        if self.baseline is not None:
            return log_weights(rewards, self.baseline(answers), self.beta)
        if state.sft is None or state.sft_law is None:
            raise ValueError("weights need the baseline reward or the SFT model")
        sequences = [(*candidates[each.candidate], *each.tokens) for each in rollouts]
        aligned = state.aligned.log_likelihoods(sequences, state.law, self.rows)
        sft = state.sft.log_likelihoods(sequences, state.sft_law, self.rows)
        if not self.with_candidate:
            own = torch.tensor([[len(candidates[each.candidate])] for each in rollouts])
            left_out = torch.arange(aligned.shape[1]) < own
            aligned, sft = aligned.masked_fill(left_out, 0), sft.masked_fill(left_out, 0)
        return log_weights_of_laws(rewards, sft.sum(1), aligned.sum(1), self.beta)

    def _count(
        self,
        counts: GuidedCounts,
        candidates: Sequence[Candidate],
        rollouts: Sequence[Rollout],
        found: Estimate,
    ) -> None:
        counts.decisions += 1
        counts.followed += len(rollouts)
        counts.rollouts += sum(len(each.tokens) for each in rollouts)
        counts.unfinished += sum(not each.finished for each in rollouts)
        followed = sorted({each.candidate for each in rollouts if each.tokens})
        if followed:
            effective = found.effective[followed]
            counts.valued += len(followed)
            counts.effective += float(effective.sum())
            least = float(effective.min())
            counts.least_effective = min(least, counts.least_effective or least)


def _places(rollouts: Sequence[Rollout]) -> list[int]:
    """The number of each rollout among those of its candidate."""
    seen: dict[int, int] = {}
    places = []
    for each in rollouts:
        places.append(seen.get(each.candidate, 0))
        seen[each.candidate] = places[-1] + 1
    return places
