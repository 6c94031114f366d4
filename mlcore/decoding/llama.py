"""A Llama-style network as a few fused operations a layer, for decoding: no autograd, static cache, float32 logits.

The same numbers as ``transformers`` computes from the same weights, with less Python between two multiplications:
query, key and value are one product, gate and up another, and rotary angles are looked up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import LlamaForCausalLM

from mlcore.decoding.cache import Cache, Memory, Tree
from mlcore.decoding.limits import check_memory


@dataclass(frozen=True)
class _Layer:
    """Weights of one layer, ready for ``x @ w``."""

    before: Tensor
    qkv: Tensor
    out: Tensor
    between: Tensor
    gate_up: Tensor
    down: Tensor


def fits(model: object) -> bool:
    """Whether ``model`` is a Llama without what this forward leaves out: biases, scaled rotary angles."""
    if not isinstance(model, LlamaForCausalLM):
        return False
    config = model.config
    plain = (config.rope_parameters or {}).get("rope_type", "default") == "default"
    return plain and not config.attention_bias and not config.mlp_bias and config.hidden_act == "silu"


class LlamaDecoder:
    """:class:`mlcore.decoding.causal.CausalModel` from the weights of a :class:`LlamaForCausalLM`."""

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
            self._norm = model.model.norm.weight.detach()
            self._head = model.lm_head.weight.detach()
            self._layers = [self._fused(layer) for layer in model.model.layers]
            angles = torch.outer(
                torch.arange(self.context, device=self.device),
                model.model.rotary_emb.inv_freq.to(self.device),
            )
            self._cos = torch.cat([angles.cos(), angles.cos()], -1).to(self.dtype)
            self._sin = torch.cat([-angles.sin(), angles.sin()], -1).to(self.dtype)

    @staticmethod
    def _fused(layer: Any) -> _Layer:
        attention, gated = layer.self_attn, layer.mlp
        qkv = torch.cat([attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight])
        return _Layer(
            layer.input_layernorm.weight.detach(),
            qkv.detach(),
            attention.o_proj.weight.detach(),
            layer.post_attention_layernorm.weight.detach(),
            torch.cat([gated.gate_proj.weight, gated.up_proj.weight]).detach(),
            gated.down_proj.weight.detach(),
        )

    def cache(self, rows: int, capacity: int) -> Cache:
        check_memory(self.memory, rows, capacity, self.dtype, self.device)
        return Cache(self.memory, rows, capacity, self.dtype, self.device)

    @torch.inference_mode()
    def forward(self, ids: Tensor, cache: Cache, tree: Tree | None = None) -> Tensor:
        rows, width = ids.shape
        step = cache.step(width, tree)
        cos, sin = self._cos[step.positions].unsqueeze(-2), self._sin[step.positions].unsqueeze(-2)
        heads, pairs, dim, half = self._heads, self._pairs, self._dim, self._dim // 2
        grouped = heads != pairs
        x = functional.embedding(ids, self._embedding)
        shape = (self._width,)
        for number, layer in enumerate(self._layers):
            y = functional.rms_norm(x, shape, layer.before, self._eps)
            qkv = functional.linear(y, layer.qkv).view(rows, width, heads + 2 * pairs, dim)
            qk = qkv[:, :, : heads + pairs]
            qk = qk * cos + qk.roll(half, -1) * sin  # the rotation's sign lies in sin
            keys, values = cache.write(
                number, qk[:, :, heads:].transpose(1, 2), qkv[:, :, heads + pairs :].transpose(1, 2), step
            )
            seen = functional.scaled_dot_product_attention(
                qk[:, :, :heads].transpose(1, 2), keys, values,
                attn_mask=step.mask, is_causal=step.causal, enable_gqa=grouped,
            )  # fmt: skip
            x = x + functional.linear(seen.transpose(1, 2).reshape(rows, width, heads * dim), layer.out)
            y = functional.rms_norm(x, shape, layer.between, self._eps)
            gate, up = functional.linear(y, layer.gate_up).split(self._inner, -1)
            x = x + functional.linear(functional.silu(gate) * up, layer.down)
        return functional.linear(functional.rms_norm(x, shape, self._norm, self._eps), self._head).float()
