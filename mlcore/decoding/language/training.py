"""Training the pair of language models into a folder: the target on the pairs, then the draft, distilled from it.

``out`` gets ``tokenizer/``, ``corpus.npz``, ``metrics.jsonl``, checkpoints, and at the end the model folders ``target``
and ``draft``. A training that is resumed does not read the tables again: with ``tokenizer`` and ``corpus.npz`` carried
there, a machine without RDKit can train.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from mlcore.decoding.language import data, distillation, prompts
from mlcore.decoding.language import model as language_model
from mlcore.decoding.language.holdout import held_out
from mlcore.decoding.language.precision import Shadow
from mlcore.decoding.language.presets import PRESETS, LanguageTraining
from mlcore.decoding.language.stage import Stage
from mlcore.decoding.language.tokenizer import train_tokenizer
from mlcore.runtime import card
from mlcore.runtime.errors import InputError
from mlcore.runtime.progress import Progress

_TOKENIZER_SMILES = 60_000  # SMILES without text that the tokenizer learns from


def train(
    config: LanguageTraining,
    paths: Sequence[Path],
    out: Path,
    progress: Progress,
    *,
    resume: bool = False,
    device: str = "cpu",
) -> dict[str, Any]:
    """Train target and draft on the tables ``paths``.

    Returns the held-out measures of :func:`~mlcore.decoding.language.holdout.held_out`; only ``stopped`` when it was
    stopped, with everything saved.

    Raises:
        InputError: tables or parameters that cannot be used, or one of several processes.
    """
    _alone()
    started = time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    if not resume:
        (out / "metrics.jsonl").unlink(missing_ok=True)
    tokenizer, corpus = material(config, paths, out, progress, resume)
    target = language_model.build(config.target, tokenizer, config.context).to(device)
    draft = language_model.build(config.draft, tokenizer, config.context).to(device)
    done = 0
    stages = _stages(config, target, draft, corpus, out, int(tokenizer.pad_token_id), device)
    total = sum(stage.steps for stage in stages)
    for stage in stages:
        progress.log(f"{stage.name}: {stage.steps} steps")
        if not stage.run(progress, resume, done, total):
            return {"stopped": True}
        done += stage.steps
    measured = held_out(target.eval(), draft.eval(), corpus, int(tokenizer.pad_token_id), device)
    training = card.training(
        config, paths, seed=config.seed, seconds=time.monotonic() - started, presets=PRESETS, resumed=resume
    )
    _write(out, target, draft, tokenizer, {"training": training, "held_out": measured})
    progress.log(f"The models are in {out / 'target'} and {out / 'draft'}")
    return measured


def _alone() -> None:
    """Refuse to be one of several processes, each of which would train the same models into the same folder."""
    started = int(os.environ.get("WORLD_SIZE", "1"))
    if started > 1:
        raise InputError(
            f"{started} processes were started, and a language model is trained by one.",
            field="--nproc-per-node",
            remedy="Start it without torchrun, on one GPU.",
        )


def material(
    config: LanguageTraining, paths: Sequence[Path], out: Path, progress: Progress, resume: bool
) -> tuple[PreTrainedTokenizerFast, data.Corpus]:
    """Tokenizer and sequences: made from the tables and put into ``out``, or with ``resume`` read from there."""
    if resume and (out / "tokenizer" / "tokenizer.json").exists() and (out / "corpus.npz").exists():
        return PreTrainedTokenizerFast.from_pretrained(out / "tokenizer"), data.Corpus.load(
            out / "corpus.npz"
        )
    progress.log("reading the tables")
    read = data.read(paths, config)
    learned = [row for row, held in zip(read.pairs, read.tuning, strict=True) if not held]
    tokenizer = train_tokenizer(
        (row.description for row in learned),
        [row.smiles for row in learned] + read.molecules[:_TOKENIZER_SMILES],
        config.vocabulary,
    )
    corpus = data.tokenised(read, tokenizer, config.context)
    tokenizer.model_max_length = config.context
    progress.log(
        f"{len(read.pairs):,} pairs, {len(read.molecules):,} molecules, {len(corpus.tokens):,} tokens"
    )
    tokenizer.save_pretrained(out / "tokenizer")
    corpus.save(out / "corpus.npz")
    return tokenizer, corpus


def _stages(
    config: LanguageTraining,
    target: LlamaForCausalLM,
    draft: LlamaForCausalLM,
    corpus: data.Corpus,
    out: Path,
    pad: int,
    device: str,
) -> list[Stage]:
    teacher = Shadow(target, device)

    def likelihood(model: nn.Module, given: data.Batch) -> tuple[Tensor, dict[str, float]]:
        counted = given.weights > 0
        logits = language_model.logits_at(model, given.ids, counted)
        return distillation.cross_entropy(logits, given.ids[:, 1:][counted], given.weights[counted]), {}

    def apprenticeship(model: nn.Module, given: data.Batch) -> tuple[Tensor, dict[str, float]]:
        counted = given.weights == 1  # answers alone: it is there that drafts are accepted
        with torch.no_grad():
            wanted = language_model.logits_at(teacher.refreshed(), given.ids, counted)
        drafted = language_model.logits_at(model, given.ids, counted)
        loss, shared = distillation.distillation(
            drafted, wanted, given.weights[counted], config.overlap_weight
        )
        return loss, {"overlap": float(shared)}

    common: dict[str, Any] = {"corpus": corpus, "config": config, "out": out, "pad": pad, "device": device}
    slow: dict[str, Any] = {"rate": config.rate, "vector_rate": config.vector_rate}
    quick: dict[str, Any] = {"rate": config.draft_rate, "vector_rate": config.draft_rate}
    return [
        Stage("target", target, likelihood, epochs=config.epochs, **slow, **common),
        Stage("draft", draft, likelihood, epochs=config.draft_epochs, **quick, **common),
        Stage("distillation", draft, apprenticeship, epochs=config.distillation_epochs, **quick, **common),
    ]


def _write(
    out: Path,
    target: LlamaForCausalLM,
    draft: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    facts: dict[str, Any],
) -> None:
    """The model folders; the draft's card names the target that it was distilled from by its hash."""
    for name, model in (("target", target), ("draft", draft)):
        what: dict[str, Any] = {
            "what": f"A language model of molecules and their descriptions, {name} of a pair for speculative decoding",
            "parameters": sum(weight.numel() for weight in model.parameters()),
            "operations_per_token": language_model.operations(model),
            "tasks": list(prompts.TASKS),
            "command": "python -m mlcore train lm",
        }
        if name == "draft":
            what["target"] = card.read(out / "target")["sha256"]
        language_model.save(out / name, model, tokenizer, what | facts)
