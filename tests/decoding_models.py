"""A pair of untrained language models of molecules, small enough to be made in a test."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerFast

from mlcore.decoding.language import model as language_model
from mlcore.decoding.language.presets import Shape
from mlcore.decoding.language.tokenizer import train_tokenizer

TARGET = Shape(width=32, layers=2, heads=2, inner=64)
DRAFT = Shape(width=16, layers=1, heads=1, inner=32)
CONTEXT = 512
TEXTS = (
    "The molecule is an alcohol that smells of roses.",
    "The molecule is an aromatic amine with a methyl group.",
    "The molecule is a primary alcohol and a volatile solvent.",
)
SMILES = ("CCO", "c1ccccc1N", "CC(C)=CCC/C(C)=C/CO", "C[C@@H](N)C(=O)O", "[Na+].[Cl-]")


def tiny_pair(folder: Path) -> tuple[Path, Path]:
    """Folders of a target and of a draft under ``folder``, named as those that ship; one vocabulary, seeded weights."""
    return (
        tiny_model(folder / "lm-target", TARGET, seed=1),
        tiny_model(folder / "lm-draft", DRAFT, seed=2),
    )


def tiny_model(
    folder: Path,
    shape: Shape = TARGET,
    *,
    seed: int = 0,
    texts: tuple[str, ...] = TEXTS,
    context: int = CONTEXT,
) -> Path:
    """The folder of one untrained model of ``shape``; another vocabulary where ``texts`` are others."""
    tokenizer = _tokenizer(texts)
    state = torch.get_rng_state()
    torch.manual_seed(seed)
    model = language_model.build(shape, tokenizer, context)
    torch.set_rng_state(state)
    language_model.save(folder, model, tokenizer, {"name": folder.name, "area": "lm"})
    return folder


@cache
def _tokenizer(texts: tuple[str, ...]) -> PreTrainedTokenizerFast:
    return train_tokenizer(texts, SMILES, 320)
