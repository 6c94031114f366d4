"""Plain sampling: one call of the model a token. The baseline that every other method is held against."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import torch

from mlcore.decoding.answers import Answer
from mlcore.decoding.events import Event
from mlcore.decoding.networks.causal import CausalModel, check_prompts, prefill
from mlcore.decoding.randomness import Source
from mlcore.decoding.sampling import Sampling, Warper


def generate(
    target: CausalModel,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    source: Source,
    *,
    warper: Warper | None = None,
    alternatives: int = 0,
) -> Iterator[Event]:
    """Continue every one of ``prompts`` (token ids) by samples of the target's warped law.

    ``alternatives`` is how many of the likeliest tokens come with each that is emitted. Rows that are done leave the
    batch.

    Raises:
        InputError: an empty prompt, unknown tokens, impossible parameters.
        LimitError: a prompt beyond the context, or a batch beyond the memory.
    """
    warper = warper or Warper(sampling, target.vocabulary)
    capacity = check_prompts(prompts, target.vocabulary, target.context, sampling.max_tokens)
    answers = [Answer(row, prompt, sampling.max_tokens, target, warper) for row, prompt in enumerate(prompts)]
    started = time.perf_counter()
    cache = target.cache(len(prompts), capacity)
    prefill(target, cache, prompts)
    read = time.perf_counter() - started
    for answer in answers:
        answer.spend("prompt", read)
    while answers:
        begun = time.perf_counter()
        ids = torch.tensor([[answer.last] for answer in answers], device=target.device)
        logits = target.forward(ids, cache)[:, 0]
        cache.advance(1)
        laws = warper(logits, _counted(answers, warper))
        tokens = source.sample(laws)
        spent = time.perf_counter() - begun
        for place, (answer, token) in enumerate(zip(answers, tokens, strict=True)):
            answer.counts.target_calls += 1
            answer.counts.target_tokens += 1
            answer.spend("target", spent)
            yield answer.emit(
                token, "sampled", target=laws[place] if alternatives else None, top=alternatives
            )
        running = [place for place, answer in enumerate(answers) if not answer.reason]
        for answer in answers:
            if answer.reason:
                yield answer.done(started)
        if len(running) < len(answers):
            answers = [answers[place] for place in running]
            cache = cache.chosen(running) if running else cache


def _counted(answers: list[Answer], warper: Warper) -> torch.Tensor | None:
    return torch.stack([answer.said for answer in answers]) if warper.sampling.penalised else None
