"""The models themselves: standard Llama-style networks, their logits where they are needed, and their folders."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from mlcore.decoding.language.presets import Shape
from mlcore.runtime.card import read as read_card
from mlcore.runtime.errors import InputError, ModelError
from mlcore.runtime.weights import load_folder, save_folder

_TIED = "lm_head.weight"
_BASE = "base"  # in config.json: which model the weights are to be laid over


def build(shape: Shape, tokenizer: PreTrainedTokenizerBase, context: int) -> LlamaForCausalLM:
    """An untrained model whose output matrix is its embedding.

    Raises:
        InputError: the width cannot be divided among the heads.
    """
    if shape.width % (2 * shape.heads):
        raise InputError(
            f"A width of {shape.width} gives {shape.heads} heads no even number of channels each.",
            field="heads",
            remedy="Give a width that twice the number of heads divides.",
        )
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=shape.width,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        max_position_embeddings=context,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config)


def logits_at(model: nn.Module, ids: Tensor, wanted: Tensor) -> Tensor:
    """Next-token logits (n, V) float32 where ``wanted`` (b, t - 1) says so; ``ids`` (b, t) are padded at the right."""
    hidden = model.model(input_ids=ids[:, :-1], use_cache=False).last_hidden_state  # type: ignore[operator]
    return model.lm_head(hidden[wanted]).float()  # type: ignore[operator]


def operations(model: LlamaForCausalLM) -> int:
    """Multiplications of one token through the network: the entries of all matrices that it is multiplied with."""
    matrices = [
        weight for name, weight in model.named_parameters() if weight.dim() == 2 and "embed" not in name
    ]
    return sum(weight.numel() for weight in matrices) + model.config.vocab_size * model.config.hidden_size


def save(
    folder: Path,
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    card: Mapping[str, Any],
    *,
    base: Path | None = None,
) -> None:
    """Write weights (int8), configuration, tokenizer and card to ``folder``.

    With ``base``, the folder of a model that this one was tuned from, only the weights that differ are written, and
    the base is named by its hash.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(folder)
    weights = {name: value for name, value in model.state_dict().items() if name != _TIED}
    config = json.loads(model.config.to_json_string(use_diff=True))
    if base is not None:
        before, _, about = load_folder(base)
        weights = {
            name: value for name, value in weights.items() if not torch.equal(value.cpu(), before[name])
        }
        config[_BASE] = {"sha256": about["sha256"], "folder": os.path.relpath(base, folder)}
    save_folder(folder, weights, config, card)


def load(folder: Path) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    """The float32 model and the tokenizer of a folder that :func:`save` wrote.

    Raises:
        ModelError: the folder is incomplete or damaged, or its weights are not those of its configuration.
    """
    weights, config, _ = load_folder(folder)
    if _BASE in config:
        weights = _base_weights(folder, config.pop(_BASE)) | weights
    try:
        facts = LlamaConfig(**{key: value for key, value in config.items() if key != "dtype"})
        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
        with torch.device("meta"):  # what a damaged configuration asks for may be larger than the memory
            wanted = {name: weight.shape for name, weight in LlamaForCausalLM(facts).state_dict().items()}
    except Exception as fault:  # tokenizers and transformers name no narrower one for damaged files
        raise ModelError(f"{folder} is not a language model of ours: {fault}.") from fault
    wanted.pop(_TIED)
    if {name: weight.shape for name, weight in weights.items()} != wanted or len(
        tokenizer
    ) > facts.vocab_size:
        raise ModelError(
            f"{folder} is not a language model of ours: weights, configuration and tokenizer do not fit."
        )
    model = LlamaForCausalLM(facts)
    model.load_state_dict(weights, strict=False)
    return model.eval(), tokenizer


def _base_weights(folder: Path, base: Mapping[str, str]) -> dict[str, Tensor]:
    """The weights of the model that the one in ``folder`` was tuned from: where it was then, or beside it now."""
    beside = sorted(path.parent for path in folder.parent.glob("*/card.json"))
    for place in (folder / base["folder"], *beside):
        if (place / "card.json").exists() and read_card(place).get("sha256") == base["sha256"]:
            return load_folder(place)[0]
    raise ModelError(
        f"{folder} holds only what differs from the model {base['sha256'][:12]}…, which is not here. Put that model's "
        "folder beside it."
    )
