"""A small real network with random weights, its tokenizer, and a training table written for the tests."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer

from mlcore.retrieval import vocabulary
from mlcore.retrieval.model import RetrievalModel, save_model
from mlcore.retrieval.orma import Orma, OrmaConfig

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
WORDS = [
    "acid",
    "alcohol",
    "ring",
    "amine",
    "ester",
    "smell",
    "rose",
    "sweet",
    "the",
    "molecule",
    "is",
    "an",
    "of",
]
SMALL = OrmaConfig(
    dim=32, fine=8, text_width=32, text_layers=3, text_heads=4, text_inner=64, tokens=48, buckets=512, bag_width=16,
    graph_width=24, graph_layers=2, hidden=32, dropout=0.0, transport_steps=20,
)  # fmt: skip


def tokenizer_json() -> str:
    return vocabulary.from_texts([",.-()[]'%:;", *LETTERS, *WORDS], 1000)


def network(config: OrmaConfig = SMALL, seed: int = 0) -> Orma:
    torch.manual_seed(seed)
    made = Orma(
        OrmaConfig.from_dict(
            config.to_dict() | {"pieces": Tokenizer.from_str(tokenizer_json()).get_vocab_size()}
        )
    )
    return made.eval()


def save_small(folder: Path, config: OrmaConfig = SMALL, seed: int = 0) -> RetrievalModel:
    """Write a model folder and load it back."""
    save_model(network(config, seed), tokenizer_json(), folder)
    return RetrievalModel.load(folder)
