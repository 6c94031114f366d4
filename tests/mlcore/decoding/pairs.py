"""A tiny Llama as target, and as draft the same with noise on its weights: near enough for some drafts to stand."""

from __future__ import annotations

from typing import NamedTuple

import torch
from transformers import PreTrainedModel

from mlcore.decoding.networks.llama import LlamaDecoder
from tests.mlcore.decoding.architectures import VOCABULARY, llama


class Pair(NamedTuple):
    """Decoders, and the networks that they were made of."""

    target: LlamaDecoder
    draft: LlamaDecoder
    networks: tuple[PreTrainedModel, PreTrainedModel]


def llama_pair(
    dtype: torch.dtype = torch.float32,
    *,
    noise: float = 0.05,
    ends: frozenset[int] = frozenset(),
    vocabulary: int = VOCABULARY,
    sharpness: float = 1.0,
    seed: int = 0,
) -> Pair:
    """``sharpness`` multiplies the logits of both; ``ends`` are the tokens that end an answer."""
    target, draft = (llama(dtype, seed, vocab_size=vocabulary) for _ in range(2))
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for weight in draft.parameters():
            if weight.dim() == 2:
                normal = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
                weight.add_(noise * normal.to(dtype))
        for network in (target, draft):
            network.lm_head.weight *= sharpness
    return Pair(LlamaDecoder(target, ends), LlamaDecoder(draft, ends), (target, draft))
