"""Any ``AutoModelForCausalLM`` as a :class:`~mlcore.decoding.networks.causal.CausalModel`, with our cache inside."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import Cache as ForeignCache
from transformers import PreTrainedModel

from mlcore.decoding.networks.cache import Cache, Memory, Step, Tree
from mlcore.decoding.networks.limits import check_memory
from mlcore.runtime.errors import ModelError

_CONTEXT = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length")
_UNKNOWN_CONTEXT = 2048


class _Writer(ForeignCache):
    """What the network takes for its cache: writes into ours."""

    def __init__(self, cache: Cache, step: Step) -> None:
        self.cache, self.step = cache, step
        self.layers: list[Any] = []
        self.layer_class_to_replicate = None
        self.offloading = False

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        return self.cache.write(layer_idx, key_states, value_states, self.step)

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return self.step.extent - self.step.positions.shape[-1]


def _hides(config: Any) -> bool:
    """Whether some layer sees less than everything before it; what windows are called differs by family."""
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    older = set(getattr(config, "attention_layers", None) or ["global"])  # GPT-Neo's names
    window = getattr(config, "use_sliding_window", True) and getattr(config, "sliding_window", None)
    return kinds != {"full_attention"} or older != {"global"} or bool(window)


def _context(config: Any) -> int:
    """The longest text. LongRoPE turns by other angles beyond its first length, where keys of before no longer fit."""
    length = next(
        (int(value) for name in _CONTEXT if (value := getattr(config, name, None))), _UNKNOWN_CONTEXT
    )
    angles = getattr(config, "rope_parameters", None) or {}
    if angles.get("rope_type") == "longrope":
        return min(length, int(angles.get("original_max_position_embeddings") or length))
    return length


class HubDecoder:
    """A network of ``transformers`` that attends to everything before it (no sliding window, no recurrent state).

    Raises:
        ModelError: a network that keeps anything but keys and values, or hides some of them.
    """

    def __init__(self, model: PreTrainedModel, ends: frozenset[int]) -> None:
        config = model.config.get_text_config()
        heads = getattr(config, "num_attention_heads", None)
        output = model.get_output_embeddings()
        if _hides(config) or heads is None or output is None:
            raise ModelError(
                f"{model.config.model_type} attends within a window or keeps a recurrent state, which cannot be rolled "
                "back by position. Choose a checkpoint with full attention in every layer."
            )
        self.model, self.ends = model.eval(), ends
        self.device, self.dtype = model.device, model.dtype
        self.vocabulary = int(output.weight.shape[0])
        self.context = _context(config)
        dim = getattr(config, "head_dim", None) or config.hidden_size // heads
        self.memory = Memory(
            config.num_hidden_layers, getattr(config, "num_key_value_heads", None) or heads, dim
        )

    def cache(self, rows: int, capacity: int) -> Cache:
        check_memory(self.memory, rows, capacity, self.dtype, self.device)
        return Cache(self.memory, rows, capacity, self.dtype, self.device)

    @torch.inference_mode()
    def forward(self, ids: Tensor, cache: Cache, tree: Tree | None = None) -> Tensor:
        rows, width = ids.shape
        step = cache.step(width, tree)
        positions = step.positions.expand(rows, width)
        if step.mask is None:
            mask = torch.ones(width, step.extent, dtype=torch.bool, device=self.device).tril(step.start)
        else:
            mask = step.mask
        mask = mask.reshape(-1, 1, width, step.extent).expand(rows, 1, width, step.extent)
        hidden = torch.zeros(mask.shape, dtype=self.dtype, device=self.device)
        hidden.masked_fill_(~mask, torch.finfo(self.dtype).min)
        found = self.model(
            input_ids=ids,
            position_ids=positions,
            attention_mask=hidden,
            past_key_values=_Writer(cache, step),
            use_cache=True,
        )
        return found.logits.float()
