"""Learning a Monge map from two clouds of points that nobody paired: resumable, deterministic for a seed."""

from __future__ import annotations

import copy
import json
import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mlcore.runtime import checkpoint
from mlcore.runtime.errors import InputError
from mlcore.runtime.progress import NullProgress, Progress
from mlcore.transport.maps.forms import ConvexMap
from mlcore.transport.maps.model import KINDS, MapConfig, MongeMap
from mlcore.transport.maps.objectives import Clouds, Objective, RegularisedFit, SemiDual
from mlcore.transport.maps.presets import MongeTraining

FEWEST = 32  # points that each cloud must have
_NORM = 5.0  # of the gradient
_FASTEST = 0.05


def map_config(config: MongeTraining, dimension: int) -> MapConfig:
    """The map that ``config`` asks for in ``dimension`` dimensions.

    Raises:
        InputError: no such kind.
    """
    automatic = {"squared_euclidean": "convex", "geodesic": "sphere"}
    kind = automatic.get(config.cost, "free") if config.kind == "auto" else config.kind
    if kind not in KINDS:
        raise InputError(
            f"There is no kind of map '{kind}'.",
            field="kind",
            remedy=f"Choose from auto, {', '.join(KINDS)}.",
        )
    width = config.width or min(max(4 * dimension, 64), 256)
    return MapConfig(dimension, kind, width, config.layers, config.cost, config.cost_parameter, config.start)


class MongeTrainer:
    """One fit; :meth:`run` drives it to the end or to a requested stop."""

    def __init__(
        self,
        config: MongeTraining,
        source: Tensor,
        target: Tensor,
        out: Path | None = None,
        device: str = "cpu",
    ) -> None:
        """``source`` (n, d) and ``target`` (m, d) are split by the seed; without ``out`` nothing is written.

        Raises:
            InputError: too few points, clouds of different dimensions, or a parameter that does not fit.
        """
        _check(source, target, config)
        self.config, self.out, self.device = config, out, device
        torch.manual_seed(config.seed)
        self.model = MongeMap(map_config(config, source.shape[1]))
        (self.source, self.held_source), (self.target, self.held_target) = (
            _split(points.float(), config, number) for number, points in enumerate((source, target))
        )
        self.model.fit_units(self.source, self.target)
        self.model.to(device)
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        self.objective = self._objective()
        self.dual = isinstance(self.objective, SemiDual)
        self.steps = config.steps if self.dual else config.gap_steps
        self.batch = min(config.batch if self.dual else config.gap_batch, len(self.source), len(self.target))
        dual_rate = min(config.rate / math.sqrt(source.shape[1]), _FASTEST)
        self.rate = dual_rate if self.dual else config.gap_rate
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=self.rate, betas=(0.9, 0.99))
        self.step = 0
        self.best_score, self.best = math.inf, {k: v.clone() for k, v in self.average.state_dict().items()}
        self._orders: dict[int, tuple[int, np.ndarray]] = {}

    def _objective(self) -> Objective:
        parts = (self.source, self.target, self.held_source, self.held_target)
        clouds = Clouds(*(points.to(self.device) for points in parts))
        config = self.config
        if isinstance(self.model.network, ConvexMap):
            return SemiDual(clouds, self.model.network, config.inverse_steps)
        return RegularisedFit(
            clouds,
            self.model,
            strength=config.strength,
            fit_epsilon=config.fit_epsilon,
            gap_epsilon=config.gap_epsilon,
        )

    def run(self, progress: Progress | None = None, resume: bool = False) -> dict[str, float]:
        """Fit; the averaged weights that did best on the held-out points are in ``model`` afterwards."""
        progress = progress or NullProgress()
        folder = None if self.out is None else self.out / "checkpoint"
        if resume and folder is not None and checkpoint.exists(folder):
            self._restore(folder)
            progress.log(f"resumed at step {self.step}")
        saved, measured = time.monotonic(), {}
        while self.step < self.steps:
            losses = self.advance()
            progress.update(self.step, self.steps, **losses)
            if self.step % self.config.every == 0 or self.step == self.steps:
                measured = self.look()
                self._log({"step": self.step, **losses, **{f"held_out_{k}": v for k, v in measured.items()}})
                progress.log(
                    f"step {self.step}: " + ", ".join(f"held-out {k} {v:.4g}" for k, v in measured.items())
                )
            late = time.monotonic() - saved > 60 * self.config.checkpoint_minutes
            if folder is not None and (progress.stopping or late or self.step == self.steps):
                self._save(folder)
                saved = time.monotonic()
            if progress.stopping:
                break
        self.model.load_state_dict(self.best)
        return measured

    def advance(self) -> dict[str, float]:
        """One step; its losses."""
        done = self.step / self.steps
        rate = self.rate * min(1.0, (self.step + 1) / 50) * (0.02 + 0.49 * (1 + math.cos(math.pi * done)))
        self.optimizer.param_groups[0]["lr"] = rate
        rows, columns = (self._draw(side) for side in (0, 1))
        loss, parts = self.objective.loss(self.model, rows, columns)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), _NORM)
        self.optimizer.step()
        self.step += 1
        decay = min(self.config.average, self.step / (self.step + 9))
        with torch.no_grad():
            for kept, new in zip(self.average.parameters(), self.model.parameters(), strict=True):
                kept.lerp_(new, 1 - decay)
        return parts

    def look(self) -> dict[str, float]:
        """Measure the averaged weights on the held-out points, and keep them if they are the best so far."""
        measured = self.objective.held_out(self.average)
        if measured["score"] < self.best_score:
            self.best_score = measured["score"]
            self.best = {k: v.clone() for k, v in self.average.state_dict().items()}
        return measured

    def _draw(self, side: int) -> Tensor:
        """The numbers of this step's points of a side: without replacement until all have been drawn."""
        count = len(self.source) if side == 0 else len(self.target)
        epoch, place = divmod(self.step, count // self.batch)
        if self._orders.get(side, (-1,))[0] != epoch:
            random = np.random.default_rng([self.config.seed, side, epoch])
            self._orders[side] = epoch, random.permutation(count)
        rows = self._orders[side][1][place * self.batch : (place + 1) * self.batch]
        return torch.from_numpy(rows).to(self.device)

    def _log(self, entry: dict[str, Any]) -> None:
        if self.out is not None:
            with (self.out / "metrics.jsonl").open("a") as handle:
                handle.write(json.dumps(entry) + "\n")

    def _save(self, folder: Path) -> None:
        tensors = {f"objective/{name}": value for name, value in self.objective.state().items()}
        tensors |= {f"average/{name}": value for name, value in self.average.state_dict().items()}
        tensors |= {f"best/{name}": value for name, value in self.best.items()}
        meta = {"step": self.step, "best_score": self.best_score, "config": asdict(self.config)}
        checkpoint.save(folder, self.model, {"adam": self.optimizer}, tensors, meta)

    def _restore(self, folder: Path) -> None:
        given = json.loads((folder / "state.json").read_text())["config"]
        if given != asdict(self.config):
            changed = sorted(name for name, value in asdict(self.config).items() if given.get(name) != value)
            raise InputError(
                f"The checkpoint in {folder} was made with other parameters: {', '.join(changed)}.",
                field="--resume",
                remedy="Give the same preset and --set values, or train into another folder.",
            )
        meta, extra = checkpoint.load(folder, self.model, {"adam": self.optimizer})

        def part(name: str) -> dict[str, Tensor]:
            return {k.removeprefix(name): v for k, v in extra.items() if k.startswith(name)}

        self.step, self.best_score = meta["step"], meta["best_score"]
        self.objective.restore(part("objective/"))
        self.average.load_state_dict(part("average/"))
        self.best = {k: v.to(self.device) for k, v in part("best/").items()}


def fit_map(
    source: Tensor, target: Tensor, config: MongeTraining | None = None, device: str = "cpu"
) -> MongeMap:
    """The map from ``source`` (n, d) to ``target`` (m, d), fitted with nothing written anywhere.

    Raises:
        InputError: see :class:`MongeTrainer`.
    """
    trainer = MongeTrainer(config or MongeTraining(), source, target, device=device)
    trainer.run()
    return trainer.model.eval()


def _check(source: Tensor, target: Tensor, config: MongeTraining) -> None:
    if source.dim() != 2 or target.dim() != 2 or source.shape[1] != target.shape[1]:
        raise InputError(
            f"The clouds must be tables of the same width, got {tuple(source.shape)} and {tuple(target.shape)}.",
            field="data",
            remedy="Give points (n, d) and (m, d).",
        )
    for name, points in (("source", source), ("target", target)):
        if len(points) < FEWEST:
            raise InputError(
                f"The {name} has {len(points)} points.",
                field="data",
                remedy=f"A fit needs at least {FEWEST}.",
            )
        if not bool(torch.isfinite(points).all()):
            row = int((~torch.isfinite(points)).any(1).nonzero()[0])
            raise InputError(
                f"The {name} has a coordinate that is no finite number.",
                field="data",
                place=f"point {row + 1}",
                remedy="Correct or leave out the point.",
            )
    if not 0 < config.held_out < 1:
        raise InputError(f"held_out is a share between 0 and 1, got {config.held_out}.", field="held_out")


def _split(points: Tensor, config: MongeTraining, side: int) -> tuple[Tensor, Tensor]:
    """Points to train on, and held-out points."""
    order = torch.from_numpy(np.random.default_rng([config.seed, 2, side]).permutation(len(points)))
    held = min(max(round(config.held_out * len(points)), FEWEST // 4), 2048)
    return points[order[held:]], points[order[:held]]
