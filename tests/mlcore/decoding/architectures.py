"""Untrained networks of many families, each a few thousand weights, and a tokenizer for them."""

from __future__ import annotations

from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

VOCABULARY = 61
_MODERN: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
}
_GPT: dict[str, Any] = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}
_FULL: dict[str, Any] = {**_MODERN, "num_key_value_heads": 4}

#: families that attend to everything before a token, by key and value alone
RIGHT: dict[str, tuple[str, dict[str, Any]]] = {
    "GPT-2": ("gpt2", _GPT),
    "GPT-J": ("gptj", {**_GPT, "rotary_dim": 8}),
    "GPT-BigCode": ("gpt_bigcode", _GPT),
    "GPT-NeoX": ("gpt_neox", _FULL),
    "GPT-Neo without windows": (
        "gpt_neo",
        {"hidden_size": 32, "num_layers": 2, "num_heads": 4, "attention_types": [[["global"], 2]]},
    ),
    "Qwen2": ("qwen2", _MODERN),
    "Qwen3": ("qwen3", {**_MODERN, "head_dim": 16}),
    "Mistral without a window": ("mistral", {**_MODERN, "sliding_window": None}),
    "Mixtral": ("mixtral", {**_MODERN, "num_local_experts": 4}),
    "OPT": ("opt", {**_FULL, "ffn_dim": 48, "word_embed_proj_dim": 32}),
    "Falcon": ("falcon", _FULL),
    "Phi": ("phi", _FULL),
    "Phi-3": ("phi3", _MODERN),
    "Gemma": ("gemma", {**_MODERN, "head_dim": 8}),
    "StarCoder2 without a window": ("starcoder2", {**_MODERN, "sliding_window": None}),
    "StableLM": ("stablelm", _FULL),
    "OLMo 2": ("olmo2", _FULL),
    "Llama with biases": ("llama", {**_MODERN, "attention_bias": True}),
}

#: families that would give numbers, but others than their own, or none at all
WRONG: dict[str, tuple[str, dict[str, Any]]] = {
    "Mistral with a window": ("mistral", {**_MODERN, "sliding_window": 8}),
    "Gemma 2": ("gemma2", {**_MODERN, "head_dim": 8}),
    "GPT-Neo with windows": (
        "gpt_neo",
        {"hidden_size": 32, "num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]]},
    ),
    "Mamba": ("mamba", {"hidden_size": 32, "num_hidden_layers": 2}),
    "RWKV": ("rwkv", {"hidden_size": 32, "num_hidden_layers": 2, "attention_hidden_size": 32}),
    "LFM2": ("lfm2", {**_MODERN, "layer_types": ["conv", "full_attention"]}),
    "Bloom": ("bloom", {"hidden_size": 32, "n_layer": 2, "n_head": 4}),
    "Falcon with ALiBi": ("falcon", {**_FULL, "alibi": True}),
    "MPT": ("mpt", {"d_model": 32, "n_heads": 4, "n_layers": 2, "max_seq_len": 64}),
    "BART": (
        "bart",
        {"d_model": 32, "decoder_layers": 2, "decoder_attention_heads": 4, "decoder_ffn_dim": 48,
         "encoder_layers": 1, "encoder_attention_heads": 4, "max_position_embeddings": 64},
    ),
    "GPT": ("openai-gpt", _GPT),
    "BERT, which reads both ways": ("bert", {**_FULL, "is_decoder": False}),
    "MiniCPM3": ("minicpm3", _FULL),
}  # fmt: skip


def network(
    family: str, dtype: torch.dtype = torch.float32, seed: int = 0, **changes: Any
) -> PreTrainedModel:
    """An untrained network whose logits differ enough between tokens for an error to show."""
    kind, facts = {**RIGHT, **WRONG}[family]
    return made(kind, dtype, seed, **{**facts, **changes})


def llama(dtype: torch.dtype = torch.float32, seed: int = 0, **changes: Any) -> PreTrainedModel:
    return made("llama", dtype, seed, **{**_MODERN, **changes})


def made(kind: str, dtype: torch.dtype, seed: int, **facts: Any) -> PreTrainedModel:
    config = AutoConfig.for_model(kind, **{"vocab_size": VOCABULARY, **facts})
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
        with torch.no_grad():
            for weight in model.parameters():
                if weight.dim() == 2:
                    weight.normal_(std=0.2)
    return model.eval()


def tokenizer(vocabulary: int = VOCABULARY, end: str | None = "t1") -> PreTrainedTokenizerFast:
    """Words ``t0 t1 …``, one token each."""
    words = Tokenizer(
        models.WordLevel({f"t{number}": number for number in range(vocabulary)}, unk_token="t0")
    )
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=words, eos_token=end)


def reference(model: PreTrainedModel, ids: torch.Tensor) -> torch.Tensor:
    """Logits of the network itself on whole rows, without a cache."""
    with torch.inference_mode():
        return model(input_ids=ids, use_cache=False).logits.float()
