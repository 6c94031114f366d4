"""Training a Monge map into a folder: fit, score on held-out points, and write the model with its card."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from mlcore.runtime.errors import ModelError
from mlcore.runtime.progress import Progress
from mlcore.transport.maps.fitting import MongeTrainer
from mlcore.transport.maps.presets import MongeTraining
from mlcore.transport.maps.scores import Map, entropic_map, on_held_out, verdict


def train(
    config: MongeTraining,
    source: Tensor,
    target: Tensor,
    out: Path,
    progress: Progress,
    *,
    resume: bool = False,
    device: str = "cpu",
) -> dict[str, Any]:
    """Fit a map from ``source`` (n, d) to ``target`` (m, d) into ``out``: checkpoint, ``metrics.jsonl``, ``model``.

    Returns the held-out scores of the map, the identity, the linear map and the discrete barycentric map, a sentence
    that compares them, and the last held-out value of the loss; nothing of this when it was stopped.

    Raises:
        InputError: clouds or parameters that do not fit.
    """
    out.mkdir(parents=True, exist_ok=True)
    if not resume:
        (out / "metrics.jsonl").unlink(missing_ok=True)
    trainer = MongeTrainer(config, source, target, out, device)
    trainer.run(progress, resume)
    if progress.stopping:
        return {"stopped": True}
    model = trainer.model.eval().cpu()
    maps: dict[str, Map] = {
        "map": model.carry,
        "identity": lambda x: x,
        "linear": model.linear,
        "discrete": entropic_map(trainer.source, trainer.target, model.cost),
    }
    scores = on_held_out(maps, trainer.held_source, trainer.held_target, model.cost)
    sentence = verdict(scores)
    result: dict[str, Any] = {
        "held_out": scores,
        "score": trainer.best_score,
        "objective": "semi-dual" if trainer.dual else "divergence and gap",
        "verdict": sentence,
    }
    card = {
        "what": f"A {model.config.kind} map between two clouds in {source.shape[1]} dimensions, optimal for the cost "
        f"{model.config.cost}",
        "points": {"source": len(source), "target": len(target)},
        "training": asdict(config),
        "metrics": result,
        "command": "python -m mlcore train monge",
    }
    model.save(out / "model", card)
    progress.log(f"{sentence} The model is in {out / 'model'}")
    return result


def model_folder(path: Path) -> Path:
    """``path`` itself, or the ``model`` folder in what a training wrote.

    Raises:
        ModelError: there is no model in either place.
    """
    for folder in (path, path / "model"):
        if (folder / "card.json").exists():
            return folder
    raise ModelError(
        f"{path} holds no trained map: there is no card.json in it. Train one with mlcore train monge."
    )
