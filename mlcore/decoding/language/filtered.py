"""Reward-filtered fine-tuning: sample answers, keep the best of each prompt, learn from those.

One round of expert iteration (RAFT, Dong et al., arXiv 2304.06767): for every prompt n answers are sampled from the
target, the one with the highest reward is kept, and the last layers learn to give it. The result is a baseline that is
aligned with the reward, which Transfer Q* continues answers with.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mlcore.decoding import autoregressive
from mlcore.decoding.events import Done
from mlcore.decoding.language import data, distillation, prompts
from mlcore.decoding.language import model as language_model
from mlcore.decoding.language.presets import LanguageTraining
from mlcore.decoding.language.stage import Stage
from mlcore.decoding.networks.checkpoints import Loaded, load, wrap
from mlcore.decoding.randomness import Seeded
from mlcore.decoding.rewards import Reward, guarded
from mlcore.decoding.sampling import Sampling
from mlcore.retrieval.data import Row
from mlcore.runtime.options import option
from mlcore.runtime.progress import Progress

_ROWS = 64


@dataclass(frozen=True)
class FilteredTraining:
    """Parameters of one round."""

    prompts: int = option(3000, "descriptions that are answered", minimum=1)
    samples: int = option(6, "answers to each, of which the best is learned", minimum=2, maximum=256)
    temperature: float = option(1.0, "at which they are sampled", minimum=0.1, maximum=5.0)
    max_tokens: int = option(96, "longest answer", minimum=1, maximum=4096)
    layers: int = option(2, "how many of the last layers learn", minimum=1)
    epochs: float = option(3.0, "over the answers that were kept", minimum=0.1)
    batch: int = option(4096, "tokens in a step", minimum=64)
    rate: float = option(1e-3, "learning rate", minimum=0.0)
    seed: int = option(0, "of everything random", minimum=0)


PRESETS = {"cpu": FilteredTraining(), "gpu": FilteredTraining(prompts=20_000, samples=16, layers=64)}


def train(
    config: FilteredTraining,
    target: Path,
    rows: Sequence[Row],
    reward: Reward,
    out: Path,
    progress: Progress,
    *,
    device: str = "cpu",
) -> dict[str, Any]:
    """Tune the model in ``target`` towards ``reward`` (of SMILES) on descriptions of ``rows`` into ``out / "aligned"``.

    Returns the mean reward of all samples, of those kept, and of fresh samples of the tuned model to the same prompts.
    """
    begun = time.monotonic()
    loaded = load(target, device=device)
    chosen = np.random.default_rng(config.seed).permutation(len(rows))[: config.prompts]
    asked = [prompts.prompt(loaded.tokenizer, "molecule", rows[number].description) for number in chosen]
    asked = [ids for ids in asked if len(ids) + config.max_tokens <= loaded.decoder.context]
    reward = guarded(reward)
    answers, scores = _sampled(loaded, asked, config.samples, config, reward, config.seed, progress)
    best = scores.argmax(1).tolist()
    kept = [ids + list(own[place]) for ids, own, place in zip(asked, answers, best, strict=True)]
    progress.log(f"mean reward {float(scores.mean()):.4f}, of the kept {float(scores.amax(1).mean()):.4f}")
    _learn(loaded, kept, [len(ids) for ids in asked], config, out, progress, device)
    tuned = wrap(loaded.network, loaded.tokenizer)
    _, after = _sampled(tuned, asked[:500], 1, config, reward, config.seed + 1, progress)
    measured = {
        "reward": reward.name,
        "mean": float(scores.mean()),
        "kept": float(scores.amax(1).mean()),
        "tuned": float(after.mean()),
    }
    card = {
        "what": "The language model of molecules, tuned by reward-filtered samples: a baseline aligned with a reward",
        "training": {
            "config": asdict(config),
            "seconds": round(time.monotonic() - begun),
            "base": loaded.hash,
        },
        "metrics": measured,
        "parameters": sum(weight.numel() for weight in loaded.network.parameters()),
        "tasks": list(prompts.TASKS),
        "command": "python -m mlcore train filtered",
    }
    language_model.save(out / "aligned", loaded.network, loaded.tokenizer, card, base=target)
    progress.log(f"mean reward of the tuned model {measured['tuned']:.4f}; it is in {out / 'aligned'}")
    return measured


def _sampled(
    loaded: Loaded,
    asked: Sequence[Sequence[int]],
    samples: int,
    config: FilteredTraining,
    reward: Reward,
    seed: int,
    progress: Progress,
) -> tuple[list[list[tuple[int, ...]]], Tensor]:
    """``samples`` answers to every prompt, and their rewards (prompts, samples)."""
    sampling = Sampling(max_tokens=config.max_tokens, temperature=config.temperature)
    repeated = [(place, ids) for place, ids in enumerate(asked) for _ in range(samples)]
    repeated.sort(key=lambda one: len(one[1]))
    source = Seeded(seed)
    answers: list[list[tuple[int, ...]]] = [[] for _ in asked]
    for first in range(0, len(repeated), _ROWS):
        part = repeated[first : first + _ROWS]
        for event in autoregressive.generate(loaded.decoder, [ids for _, ids in part], sampling, source):
            if isinstance(event, Done):
                answers[part[event.row][0]].append(event.tokens)
        progress.update(min(first + _ROWS, len(repeated)), len(repeated))
    texts = [prompts.answer(loaded.tokenizer, ids) for own in answers for ids in own]
    return answers, reward(texts).view(len(asked), samples)


def _learn(
    loaded: Loaded,
    sequences: Sequence[Sequence[int]],
    questions: Sequence[int],
    config: FilteredTraining,
    out: Path,
    progress: Progress,
    device: str,
) -> None:
    count = len(sequences)
    corpus = data.Corpus(
        np.concatenate([np.array(ids, dtype=np.int32) for ids in sequences]),
        np.concatenate([[0], np.cumsum([len(ids) for ids in sequences])]).astype(np.int64),
        np.array(questions, dtype=np.int32),
        np.full(count, data.MOLECULE, dtype=np.int8),
        np.zeros(count, dtype=bool),
    )
    network: Any = loaded.network
    network.requires_grad_(False)
    network.model.layers[-config.layers :].requires_grad_(True)
    pad = int(loaded.tokenizer.pad_token_id)

    def loss(model: nn.Module, given: data.Batch) -> tuple[Tensor, dict[str, float]]:
        counted = given.weights > 0
        logits = language_model.logits_at(model, given.ids, counted)
        return distillation.cross_entropy(logits, given.ids[:, 1:][counted], given.weights[counted]), {}

    learning = LanguageTraining(seed=config.seed, batch=config.batch, prompt_weight=0.0, weight_decay=0.0)
    stage = Stage(
        "aligned", network, loss, corpus, learning, out,
        epochs=config.epochs, rate=config.rate, vector_rate=config.rate, pad=pad, device=device,
    )  # fmt: skip
    torch.manual_seed(config.seed)
    stage.run(progress, False, 0, stage.steps)
    network.eval()
