"""The text transformer as a search runs it: the same network in int8, float32 where int8 is not to be had.

Weights are rounded to int8 with one scale a row (they are shipped that way, so nothing is lost), activations with one
scale a batch; query, key and value are one product. What that saves, and how far ranks move by it, is measured by
``python -m benchmarks.quick``.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import BertModel

Linear = Callable[[Tensor], Tensor]
Norm = tuple[Tensor, Tensor, float]
_INT8_ENGINES = ("x86", "fbgemm", "onednn")


def has_int8() -> bool:
    """Whether this machine multiplies int8 without loss: x86 with the instructions made for it (VNNI)."""
    return torch.backends.quantized.engine in _INT8_ENGINES and bool(torch.cpu._is_vnni_supported())


class QuickTransformer:
    """Made of a :class:`BertModel`; calling it gives its last hidden states. Thread-safe."""

    def __init__(self, bert: BertModel, *, int8: bool | None = None) -> None:
        made = _int8 if (has_int8() if int8 is None else int8) else _plain
        table = bert.embeddings
        self._words = table.word_embeddings.weight.detach()
        kinds = table.token_type_embeddings.weight.detach()
        self._places = table.position_embeddings.weight.detach() + kinds[0]
        self._norm = _norm(table.LayerNorm)
        self._heads = bert.config.num_attention_heads
        self._layers = [_layer(layer, made) for layer in bert.encoder.layer]

    def __call__(self, pieces: Tensor, mask: Tensor, last: int = 3) -> list[Tensor]:
        """The ``last`` hidden states of ``pieces`` (n, tokens) under ``mask`` (n, tokens), (n, tokens, width) each."""
        count, tokens = pieces.shape
        state = _normed(F.embedding(pieces, self._words) + self._places[:tokens], self._norm)
        seen = None if bool(mask.all()) else mask[:, None, None, :]
        states = [state]
        for project, gather, after, widen, narrow, end in self._layers:
            query, key, value = project(state).view(count, tokens, 3, self._heads, -1).permute(2, 0, 3, 1, 4)
            mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=seen)
            state = _normed(state + gather(mixed.transpose(1, 2).reshape(count, tokens, -1)), after)
            state = _normed(state + narrow(F.gelu(widen(state))), end)
            states.append(state)
        return states[-last:]


def _layer(
    layer: Any, made: Callable[[Tensor, Tensor], Linear]
) -> tuple[Linear, Linear, Norm, Linear, Linear, Norm]:
    own, out = layer.attention.self, layer.attention.output
    parts = (own.query, own.key, own.value)
    weight = torch.cat([part.weight for part in parts]).detach()
    bias = torch.cat([part.bias for part in parts]).detach()
    return (
        made(weight, bias),
        made(out.dense.weight.detach(), out.dense.bias.detach()),
        _norm(out.LayerNorm),
        made(layer.intermediate.dense.weight.detach(), layer.intermediate.dense.bias.detach()),
        made(layer.output.dense.weight.detach(), layer.output.dense.bias.detach()),
        _norm(layer.output.LayerNorm),
    )


def _norm(norm: nn.LayerNorm) -> Norm:
    return norm.weight.detach(), norm.bias.detach(), norm.eps


def _normed(state: Tensor, norm: Norm) -> Tensor:
    weight, bias, eps = norm
    return F.layer_norm(state, weight.shape, weight, bias, eps)


def _int8(weight: Tensor, bias: Tensor) -> Linear:
    scales = (weight.abs().amax(1) / 127).clamp(min=1e-8).double()
    zeros = torch.zeros(len(scales), dtype=torch.long)
    with warnings.catch_warnings():  # deprecated without a successor yet; the release of torch is pinned
        warnings.simplefilter("ignore", UserWarning)
        rounded = torch.quantize_per_channel(weight.float(), scales, zeros, 0, torch.qint8)
    packed = torch.ops.quantized.linear_prepack(rounded, bias.float())

    def apply(state: Tensor) -> Tensor:
        return torch.ops.quantized.linear_dynamic(state, packed, reduce_range=False)

    return apply


def _plain(weight: Tensor, bias: Tensor) -> Linear:
    def apply(state: Tensor) -> Tensor:
        return F.linear(state, weight, bias)

    return apply
