"""The text transformer as a search runs it: the same network in int8, float32 where int8 is not to be had.

Weights are rounded to int8 with one scale a row (they are shipped that way, so nothing is lost), activations with one
scale a token; query, key and value are one product. Nothing that happens to a token depends on other texts: the tokens
of all texts lie one after the other without padding, and texts attend in groups of one length. A text therefore gets
the same states alone and among others. What int8 saves, and how far ranks move by it, is measured by
``python -m benchmarks.quick``.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import BertModel

Linear = Callable[[Tensor], Tensor]
Norm = tuple[Tensor, Tensor, float]
_INT8_ENGINES = ("x86", "fbgemm", "onednn")
#: an activation of one becomes 127 above this
_ZERO = 128


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
        """The ``last`` hidden states of ``pieces`` (n, tokens) under ``mask`` (n, tokens), (n, tokens, width) each.

        The real tokens of each text come first; states of padded ones are zero.
        """
        lengths = mask.sum(1)
        order = torch.argsort(lengths, stable=True)
        inside = mask[order]
        places = inside.nonzero()[:, 1]
        runs = [(len(list(texts)), length) for length, texts in groupby(lengths[order].tolist())]
        state = _normed(F.embedding(pieces[order][inside], self._words) + self._places[places], self._norm)
        states = [state]
        for project, gather, after, widen, narrow, end in self._layers:
            state = _normed(state + gather(self._attended(project(state), runs)), after)
            state = _normed(state + narrow(F.gelu(widen(state))), end)
            states.append(state)
        if (
            len(runs) == 1 and runs[0][1] == mask.shape[1]
        ):  # nothing was padded, and the order has not changed
            return [each.view(*mask.shape, -1) for each in states[-last:]]
        slots = order[inside.nonzero()[:, 0]] * mask.shape[1] + places
        return [_spread(each, slots, mask) for each in states[-last:]]

    def _attended(self, projected: Tensor, runs: list[tuple[int, int]]) -> Tensor:
        """Attention within each text: ``projected`` (all tokens, 3 width), ``runs`` of (texts, tokens of each)."""
        parts, start = [], 0
        for texts, tokens in runs:
            own = projected[start : start + texts * tokens].view(texts, tokens, 3, self._heads, -1)
            mixed = F.scaled_dot_product_attention(*own.permute(2, 0, 3, 1, 4))
            parts.append(mixed.transpose(1, 2).reshape(texts * tokens, -1))
            start += texts * tokens
        return parts[0] if len(parts) == 1 else torch.cat(parts)


def _spread(state: Tensor, slots: Tensor, mask: Tensor) -> Tensor:
    """Tokens one after the other (all tokens, width) back to their ``slots`` among (n, tokens, width)."""
    out = state.new_zeros(mask.numel(), state.shape[1])
    out[slots] = state
    return out.view(*mask.shape, -1)


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
    packed = torch.ops.quantized.linear_prepack(rounded, None)
    multiply = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32
    bias = bias.float()

    def apply(state: Tensor) -> Tensor:
        # every token is brought to -1..1 first: the operation has one scale for all of them
        largest = torch.linalg.vector_norm(state, torch.inf, dim=1, keepdim=True).clamp_(min=1e-12)
        return torch.addcmul(bias, multiply(state / largest, 1 / 127, _ZERO, packed), largest)

    return apply


def _plain(weight: Tensor, bias: Tensor) -> Linear:
    def apply(state: Tensor) -> Tensor:
        return F.linear(state, weight, bias)

    return apply
