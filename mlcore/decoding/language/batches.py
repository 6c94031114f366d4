"""Answers to many prompts at once: what evaluation needs, and nobody watches token by token."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mlcore.decoding import autoregressive
from mlcore.decoding.events import Done
from mlcore.decoding.language import prompts
from mlcore.decoding.language.prompts import Task
from mlcore.decoding.networks.checkpoints import Loaded, load
from mlcore.decoding.randomness import Seeded
from mlcore.decoding.sampling import Sampling
from mlcore.runtime.progress import NullProgress, Progress

_ROWS = 64
_LONGEST = 256  # tokens of an answer


def answers(
    model: Path | Loaded,
    device: str,
    task: Task,
    given: Sequence[str],
    *,
    temperature: float = 0.0,
    seed: int = 0,
    max_tokens: int = _LONGEST,
    progress: Progress | None = None,
) -> list[str]:
    """The model's answer to each of ``given``: the likeliest token at every step, or samples at a ``temperature``.

    A question that leaves no room in the model's context is cut at its end, where a description says least. Prompts of
    about one length share a batch.

    Raises:
        ModelError: the folder ``model`` holds no language model.
        InputError: an empty question.
    """
    loaded = model if isinstance(model, Loaded) else load(model, device=device)
    progress = progress or NullProgress()
    room = loaded.decoder.context - 2
    asked = [prompts.shortened(prompts.prompt(loaded.tokenizer, task, text), room) for text in given]
    order = sorted(range(len(asked)), key=lambda number: len(asked[number]))
    sampling = Sampling(max_tokens=max_tokens, temperature=temperature)
    source = Seeded(seed)
    found = [""] * len(asked)
    for first in range(0, len(order), _ROWS):
        part = order[first : first + _ROWS]
        for event in autoregressive.generate(
            loaded.decoder, [asked[number] for number in part], sampling, source
        ):
            if isinstance(event, Done):
                found[part[event.row]] = prompts.answer(loaded.tokenizer, event.tokens)
        progress.update(min(first + _ROWS, len(order)), len(order))
    return found
