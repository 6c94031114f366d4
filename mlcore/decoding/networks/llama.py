"""A Llama-style network as a few fused operations a layer, for decoding: no autograd, static cache, float32 logits.

The same numbers as ``transformers`` computes from the same weights, up to rounding, with less between two
multiplications: query, key and value are one product, gate and up another, scales are multiplied into the matrices, and
rotary positions are one complex product.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import LlamaForCausalLM

from mlcore.decoding.networks.cache import Cache, Memory, Tree
from mlcore.decoding.networks.limits import check_memory
from mlcore.decoding.networks.products import Product


@dataclass(frozen=True)
class _Layer:
    """Matrices of one layer, with the scales of the norms before them multiplied in."""

    qkv: Product
    out: Product
    gate_up: Product
    down: Product


def fits(model: object) -> bool:
    """Whether ``model`` is a Llama without what this forward leaves out: biases, scaled rotary angles."""
    if not isinstance(model, LlamaForCausalLM):
        return False
    config = model.config
    plain = (config.rope_parameters or {}).get("rope_type", "default") == "default"
    return plain and not config.attention_bias and not config.mlp_bias and config.hidden_act == "silu"


class LlamaDecoder:
    """:class:`mlcore.decoding.networks.causal.CausalModel` from the weights of a :class:`LlamaForCausalLM`."""

    def __init__(self, model: LlamaForCausalLM, ends: frozenset[int]) -> None:
        config = model.config
        self.vocabulary, self.context, self.ends = config.vocab_size, config.max_position_embeddings, ends
        self.device, self.dtype = model.device, model.dtype
        self._heads, self._pairs = config.num_attention_heads, config.num_key_value_heads
        self._dim = getattr(config, "head_dim", None) or config.hidden_size // self._heads
        self._width, self._inner, self._eps = (
            config.hidden_size,
            config.intermediate_size,
            config.rms_norm_eps,
        )
        self.memory = Memory(config.num_hidden_layers, self._pairs, self._dim)
        with torch.no_grad():
            self._embedding = model.model.embed_tokens.weight.detach()
            self._head = Product(model.lm_head.weight, model.model.norm.weight)
            self._layers = [self._fused(layer) for layer in model.model.layers]
            angles = torch.outer(
                torch.arange(self.context, device=self.device),
                model.model.rotary_emb.inv_freq.to(self.device),
            )
            wide = torch.float64 if self.dtype == torch.float64 else torch.float32
            self._turns = torch.polar(torch.ones_like(angles), angles).to(wide.to_complex())

    def _fused(self, layer: Any) -> _Layer:
        attention, gated = layer.self_attn, layer.mlp
        turned = [_paired(each.weight, self._dim) for each in (attention.q_proj, attention.k_proj)]
        qkv = torch.cat([*turned, attention.v_proj.weight])
        return _Layer(
            Product(qkv, layer.input_layernorm.weight),
            Product(attention.o_proj.weight),
            Product(
                torch.cat([gated.gate_proj.weight, gated.up_proj.weight]),
                layer.post_attention_layernorm.weight,
            ),
            Product(gated.down_proj.weight),
        )

    def cache(self, rows: int, capacity: int) -> Cache:
        check_memory(self.memory, rows, capacity, self.dtype, self.device)
        return Cache(self.memory, rows, capacity, self.dtype, self.device)

    @torch.inference_mode()
    def forward(self, ids: Tensor, cache: Cache, tree: Tree | None = None) -> Tensor:
        rows, width = ids.shape
        step = cache.step(width, tree)
        turns = self._turns[step.positions].unsqueeze(-2)
        heads, pairs, dim = self._heads, self._pairs, self._dim
        grouped = heads != pairs
        x = functional.embedding(ids, self._embedding)
        for number, layer in enumerate(self._layers):
            qkv = layer.qkv(self._normed(x)).view(rows, width, heads + 2 * pairs, dim)
            qk = self._turned(qkv[:, :, : heads + pairs], turns)
            keys, values = cache.write(
                number, qk[:, :, heads:].transpose(1, 2), qkv[:, :, heads + pairs :].transpose(1, 2), step
            )
            seen = functional.scaled_dot_product_attention(
                qk[:, :, :heads].transpose(1, 2), keys, values,
                attn_mask=step.mask, is_causal=step.causal, enable_gqa=grouped,
            )  # fmt: skip
            x = x + layer.out(seen.transpose(1, 2).reshape(rows, width, heads * dim))
            gate, up = layer.gate_up(self._normed(x)).split(self._inner, -1)
            x = x + layer.down(functional.silu(gate) * up)
        logits = self._head(self._normed(x))
        return logits.float() if self.dtype.itemsize < 4 else logits

    def _normed(self, x: Tensor) -> Tensor:
        """Root-mean-square norm without its scale, which is in the matrix that follows."""
        if self.dtype.itemsize < 4:
            return functional.rms_norm(x, (self._width,), None, self._eps)
        return x * x.square().mean(-1, keepdim=True).add_(self._eps).rsqrt_()

    def _turned(self, qk: Tensor, turns: Tensor) -> Tensor:
        """Rotary positions: every pair of channels (R, T, heads, dim) as a complex number, turned."""
        wide = qk if self.dtype.itemsize >= 4 else qk.float()
        pairs = torch.view_as_complex(wide.unflatten(-1, (self._dim // 2, 2)))
        return torch.view_as_real(pairs * turns).flatten(-2).to(qk.dtype)


def _paired(weight: Tensor, dim: int) -> Tensor:
    """Rows of a query or key matrix with the two channels of every rotation next to each other.

    Llama turns channel i with i + dim / 2; scores do not change when both sides are put in another order.
    """
    return weight.view(-1, 2, dim // 2, weight.shape[1]).transpose(1, 2).reshape(weight.shape)
