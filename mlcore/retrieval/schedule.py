"""The two phases of training, their optimisers and their learning rates."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from mlcore.retrieval.orma import Orma
from mlcore.retrieval.presets import RetrievalTraining


@dataclass(frozen=True)
class Phase:
    name: str  # "lookup" or "joint"
    epochs: int
    batch: int


def phases(config: RetrievalTraining) -> list[Phase]:
    """Lookup, if there are n-grams to learn, then joint."""
    return [
        Phase("lookup", config.lookup_epochs if config.model.use_ngrams else 0, config.lookup_batch),
        Phase("joint", config.joint_epochs, config.joint_batch),
    ]


def epochs(of: Sequence[Phase]) -> Iterator[tuple[Phase, int]]:
    """Each epoch of each phase, in order: the phase and the epoch's number within it."""
    for phase in of:
        for epoch in range(phase.epochs):
            yield phase, epoch


def optimizers(model: Orma, config: RetrievalTraining) -> dict[str, torch.optim.Optimizer]:
    """``dense`` (AdamW) for all parameters but the table of n-grams, ``bag`` (SparseAdam) for that."""
    transformer = list(model.text.bert.parameters())
    table = model.text.bag.weight
    known = {id(parameter) for parameter in (*transformer, table)}
    rest = [parameter for parameter in model.parameters() if id(parameter) not in known]
    return {
        "dense": torch.optim.AdamW(
            [{"params": rest, "peak": "dense"}, {"params": transformer, "peak": "transformer"}],
            lr=0.0,
            weight_decay=config.weight_decay,
        ),
        "bag": torch.optim.SparseAdam([{"params": [table], "peak": "bag"}], lr=1e-9),
    }


def set_rates(
    of: Mapping[str, torch.optim.Optimizer], config: RetrievalTraining, phase: Phase, done: float
) -> None:
    """Set the learning rates for the share ``done`` of ``phase``: a short rise, then a cosine down to a floor."""
    floor = 0.3 if phase.name == "lookup" else 0.02
    warm = min(1.0, done / 0.06 + 0.02)
    factor = warm * (floor + (1 - floor) * (1 + math.cos(math.pi * done)) / 2)
    peaks = _peaks(config, phase)
    for optimizer in of.values():
        for group in optimizer.param_groups:
            group["lr"] = max(peaks[group["peak"]] * factor, 1e-12)


def _peaks(config: RetrievalTraining, phase: Phase) -> dict[str, float]:
    if phase.name == "lookup":
        return {"dense": config.lookup_rate, "bag": config.bag_rate, "transformer": 0.0}
    return {"dense": config.joint_rate, "bag": config.joint_bag_rate, "transformer": config.transformer_rate}
