"""Best of N: whole answers sampled from one model, and the one with the highest reward taken."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from mlcore.decoding.events import Done, Drafted, Emitted, Event
from mlcore.decoding.guidance import samplers
from mlcore.decoding.guidance.kl import Departure, best_of_bound
from mlcore.decoding.guidance.lookahead import GuidedCounts
from mlcore.decoding.guidance.samplers import Sampler
from mlcore.decoding.guidance.scoring import Decode, Scorer
from mlcore.decoding.networks.causal import CausalModel, check_prompts
from mlcore.decoding.randomness import Source
from mlcore.decoding.rewards import Reward
from mlcore.decoding.sampling import Sampling, Warper
from mlcore.runtime.options import checked, described, option


@dataclass(frozen=True)
class BestOf:
    """How many answers there are to choose from."""

    samples: int = option(8, "answers to each prompt, of which the best is taken", minimum=1, maximum=4096)
    rows: int = option(256, "answers that are computed together", minimum=1, maximum=4096)


def generate(
    model: CausalModel,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    best_of: BestOf,
    reward: Reward,
    decode: Decode,
    source: Source,
    *,
    sampler: Sampler | None = None,
    warper: Warper | None = None,
    alternatives: int = 0,
) -> Iterator[Event]:
    """The best of N answers to every one of ``prompts``, one prompt after the other.

    A Drafted with all answers so far comes with every step of the sampler, so that closing the iterator stops within
    one; once all are scored, the best one is emitted. ``sampler`` takes the place of plain sampling, for SpecTr.
    ``counts.rollouts`` are the tokens of the answers not taken, and ``from_reference`` holds the bound
    log N - (N - 1)/N on the KL divergence from the model in place of an estimate.

    Raises:
        InputError: impossible parameters, an empty prompt, unknown tokens.
        RewardError: the reward raised, or gave something that is no number.
        LimitError: a prompt beyond the context, or a batch beyond the memory.
    """
    for parameter in described(best_of):
        checked(parameter, parameter.default)
    check_prompts(prompts, model.vocabulary, model.context, sampling.max_tokens)
    draw = sampler or samplers.plain(model, sampling, warper, alternatives)
    scorer = Scorer(reward, decode, model.ends)
    for row, prompt in enumerate(prompts):
        yield from _best(row, prompt, sampling.max_tokens, best_of, scorer, draw, source)


def _best(
    row: int,
    prompt: Sequence[int],
    room: int,
    best_of: BestOf,
    scorer: Scorer,
    sampler: Sampler,
    source: Source,
) -> Iterator[Event]:
    started, scored = time.perf_counter(), scorer.scored
    answers: list[list[Emitted]] = [[] for _ in range(best_of.samples)]
    done: list[Done | None] = [None] * best_of.samples
    counts = GuidedCounts(decisions=1, followed=best_of.samples)
    for first in range(0, best_of.samples, best_of.rows):
        batch = [prompt] * min(best_of.rows, best_of.samples - first)
        before = len(batch)
        for event in sampler(batch, room, source):
            if isinstance(event, Emitted):
                answers[first + event.row].append(event)
                if event.row <= before:  # a new step of the batch
                    yield Drafted(row, tuple(_tokens(each) for each in answers))
                before = event.row
            elif isinstance(event, Done):
                done[first + event.row] = event
                counts.target_calls += event.counts.target_calls
                counts.target_tokens += event.counts.target_tokens
    generated = time.perf_counter()
    rewards = scorer([_tokens(each) for each in answers])
    counts.seconds |= {"target": generated - started, "lookahead": time.perf_counter() - generated}
    which = int(rewards.argmax())
    taken = done[which]
    if taken is None:
        raise ValueError("the sampler did not complete its answers")
    for event in answers[which]:
        counts.emitted += 1
        yield replace(event, row=row, kind="chosen")
    counts.rollouts = sum(len(each) for each in answers) - counts.emitted
    counts.rewards = scorer.scored - scored
    counts.reward = float(rewards[which])
    bound = best_of_bound(best_of.samples)
    counts.from_reference = Departure(bound, bound)
    counts.seconds["total"] = time.perf_counter() - started
    yield Done(row, taken.tokens, taken.reason, counts)


def _tokens(events: Sequence[Emitted]) -> tuple[int, ...]:
    return tuple(event.token for event in events)
