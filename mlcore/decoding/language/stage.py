"""One stage of a training: a model, a loss, a plan of batches; checkpoints, curves, and going on after a stop."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mlcore.decoding.language import data
from mlcore.decoding.language.precision import Shadow
from mlcore.decoding.language.presets import LanguageTraining
from mlcore.runtime import checkpoint
from mlcore.runtime.curves import Curves
from mlcore.runtime.errors import InputError
from mlcore.runtime.progress import Progress

#: (model, batch) -> loss, further measures
Loss = Callable[[nn.Module, data.Batch], tuple[Tensor, dict[str, float]]]
_SMOOTHING = 0.98
_CURVE = 20  # steps between two points of the curves
_CLIP = 1.0


class Stage:
    """Trains ``model`` for ``epochs`` over ``corpus``; its checkpoints lie in ``out / "checkpoint-NAME"``.

    Matrices inside the network learn by Muon (orthogonalised momentum, Jordan et al. 2024, with its steps scaled to
    AdamW's), embeddings and scales by AdamW; the rate rises, then falls to zero along a cosine.
    """

    def __init__(
        self,
        name: str,
        model: nn.Module,
        loss: Loss,
        corpus: data.Corpus,
        config: LanguageTraining,
        out: Path,
        *,
        epochs: float,
        rate: float,
        vector_rate: float,
        pad: int,
        device: str,
    ) -> None:
        self.name, self.model, self.loss, self.corpus, self.config = name, model, loss, corpus, config
        self.folder, self.curves = out / f"checkpoint-{name}", Curves(out / "metrics.jsonl")
        self.pad, self.device = pad, device
        self.shadow = Shadow(model, device)
        matrices = [p for n, p in model.named_parameters() if p.dim() == 2 and "embed" not in n]
        others = [p for n, p in model.named_parameters() if p.dim() != 2 or "embed" in n]
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            "matrices": torch.optim.Muon(
                matrices, lr=rate, weight_decay=config.weight_decay, adjust_lr_fn="match_rms_adamw"
            ),
            "vectors": torch.optim.AdamW(others, lr=vector_rate, betas=(0.9, 0.95), weight_decay=0.0),
        }
        self.rates = {"matrices": rate, "vectors": vector_rate}
        self.step = self.epoch = self._first = 0
        self._batches = self._plan(0)
        self.steps = math.ceil(epochs * len(self._batches))

    def run(self, progress: Progress, resume: bool, done: int, total: int) -> bool:
        """Train to the end; False when a stop was asked for, with a checkpoint saved.

        ``done`` of ``total`` steps of the whole training lie before this stage.

        Raises:
            InputError: the checkpoint to resume from is of another model.
        """
        if resume and checkpoint.exists(self.folder):
            self.step = self._restored()
        if self.step < self.steps:  # after a finished one, the curves of those that follow are wanted
            self.curves.cut(done + self.step, sys.maxsize)
        saved = time.monotonic()
        smooth: dict[str, float] = {}
        while self.step < self.steps:
            if progress.stopping:
                self._save()
                return False
            measured = self._one()
            smooth = {
                key: smooth.get(key, value) * _SMOOTHING + value * (1 - _SMOOTHING)
                for key, value in measured.items()
            }
            shown = {f"{self.name}_{key}": value for key, value in smooth.items()}
            progress.update(done + self.step, total, **shown)
            if self.step % _CURVE == 0 or self.step == self.steps:
                self.curves.append(done + self.step, self.epoch, **shown)
            if time.monotonic() - saved > self.config.checkpoint_minutes * 60:
                self._save()
                saved = time.monotonic()
        self._save()
        return True

    def _restored(self) -> int:
        try:
            meta, _ = checkpoint.load(self.folder, self.model, self.optimizers)
        except (RuntimeError, ValueError) as fault:
            raise InputError(
                f"The checkpoint of {self.name} is of a model of another size.",
                field="--resume",
                remedy="Resume with the parameters that the training began with, or train into another folder.",
            ) from fault
        return int(meta["step"])

    def _one(self) -> dict[str, float]:
        rows = self._rows()
        given = data.batch(self.corpus, rows, self.pad, self.config.prompt_weight).to(self.device)
        self._schedule()
        loss, measured = self.loss(self.shadow.refreshed(), given)
        loss.backward()
        self.shadow.hand_back()
        nn.utils.clip_grad_norm_(self.model.parameters(), _CLIP)
        for optimizer in self.optimizers.values():
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.step += 1
        return {"loss": float(loss.detach()), **measured}

    def _rows(self) -> np.ndarray:
        while self.step >= self._first + len(self._batches):
            self._first += len(self._batches)
            self.epoch += 1
            self._batches = self._plan(self.epoch)
        return self._batches[self.step - self._first]

    def _plan(self, epoch: int) -> list[np.ndarray]:
        rows = data.epoch_rows(self.corpus, self.config, epoch)
        return data.plan(
            self.corpus, rows, self.config.batch, np.random.default_rng([self.config.seed, epoch, 1])
        )

    def _schedule(self) -> None:
        rise = max(1.0, self.config.warmup * self.steps)
        share = min(1.0, (self.step + 1) / rise)
        if self.step >= rise:
            share = 0.5 * (1 + math.cos(math.pi * (self.step - rise) / max(1.0, self.steps - rise)))
        for name, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = self.rates[name] * share

    def _save(self) -> None:
        checkpoint.save(self.folder, self.model, self.optimizers, {}, {"step": self.step})
