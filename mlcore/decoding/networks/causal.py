"""The one interface between a decoding method and a language model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from mlcore.decoding.networks.cache import Cache, Tree
from mlcore.runtime.errors import InputError, LimitError


class CausalModel(Protocol):
    """A decoder-only model with a cache of its own making."""

    vocabulary: int  # tokens that its logits speak of
    context: int  # longest sequence
    ends: frozenset[int]  # tokens after which nothing follows
    device: torch.device

    def cache(self, rows: int, capacity: int) -> Cache:
        """An empty cache. Raises LimitError where the memory would not do."""

    def forward(self, ids: Tensor, cache: Cache, tree: Tree | None = None) -> Tensor:
        """Logits (R, T, V) float32 after each of ``ids`` (R, T), which continue the rows of ``cache``.

        The cache is written but its lengths stay: the caller advances it by what counts.
        """


def prefill(model: CausalModel, cache: Cache, prompts: Sequence[Sequence[int]]) -> None:
    """Read all but the last token of every prompt into the rows of ``cache``; prompts may differ in length."""
    widest = max(len(prompt) for prompt in prompts) - 1
    if widest:
        ids = torch.zeros(len(prompts), widest, dtype=torch.long)
        for row, prompt in enumerate(prompts):
            ids[row, : len(prompt) - 1] = torch.tensor(prompt[:-1])
        model.forward(ids.to(model.device), cache)
    cache.lengths = [len(prompt) - 1 for prompt in prompts]


def check_prompts(prompts: Sequence[Sequence[int]], vocabulary: int, context: int, wanted: int) -> int:
    """The capacity that ``prompts`` with ``wanted`` more tokens need.

    Raises:
        InputError: a prompt is empty or holds tokens that the model does not know.
        LimitError: a prompt leaves no room for an answer in the model's context.
    """
    if wanted < 1:
        raise InputError("An answer needs room for one token at least.", field="max_tokens")
    if not prompts or not all(len(prompt) for prompt in prompts):
        raise InputError("The prompt is empty.", field="prompt", remedy="Write something to continue from.")
    for prompt in prompts:
        strange = next((token for token in prompt if not 0 <= token < vocabulary), None)
        if strange is not None:
            raise InputError(
                f"The prompt holds the token {strange}, and the model knows {vocabulary:,}.",
                field="prompt",
                remedy="Use the tokenizer that belongs to the model.",
            )
    longest = max(len(prompt) for prompt in prompts)
    if longest >= context:
        raise LimitError(
            f"The prompt has {longest:,} tokens, and the model reads {context:,} with its answer.",
            field="prompt",
            remedy="Shorten the prompt.",
        )
    return min(context, longest + wanted)
