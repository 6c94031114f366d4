"""Watching a map learn in the plane: the fit as a stream of events that a page can draw."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor

from mlcore.runtime.errors import InputError
from mlcore.transport.maps.fitting import MongeTrainer
from mlcore.transport.maps.presets import MongeTraining

#: the lattice reaches beyond the source by this share of its extent
_MARGIN = 0.1
_SHOWN = 400  # points whose images an event holds
PLANE = MongeTraining(
    kind="free",
    start="identity",
    width=64,
    gap_steps=600,
    gap_rate=5e-3,
    average=0.97,
    every=20,
)


@dataclass(frozen=True)
class Watched:
    """Where a fit stands. Points are lists [x, y]; the lattice is a list of rows of points."""

    step: int
    steps: int
    seconds: float  # since the start
    divergence: float  # of the image of held-out points from the target's
    gap: float  # of the map on held-out points, above the floor that epsilon gives the identity
    lattice: list[list[list[float]]]  # images of a lattice over the source
    images: list[list[float]]  # of the first points of the source
    last: bool

    def event(self) -> dict[str, object]:
        """As JSON."""
        return asdict(self)


def watch(
    source: Tensor,
    target: Tensor,
    *,
    cost: str = "squared_euclidean",
    cost_parameter: float = 0.0,
    strength: float = 0.3,
    seconds: float = 20.0,
    lines: int = 13,
    seed: int = 0,
    stopping: Callable[[], bool] = lambda: False,
    config: MongeTraining = PLANE,
) -> Iterator[Watched]:
    """Fit a free map between two clouds (n, 2) and (m, 2), and tell every ``config.every`` steps how it stands.

    The first event shows the beginning, the identity. It ends after ``config.gap_steps`` steps, after ``seconds``, or
    when ``stopping`` says so or the generator is closed; the last event says so itself. ``strength`` is that of the
    Monge gap: 0 shows what a fit without it does.

    Raises:
        InputError: clouds that are not in the plane, or what :class:`~..maps.fitting.MongeTrainer` refuses.
    """
    if source.dim() != 2 or source.shape[-1] != 2 or target.shape[-1] != 2:
        raise InputError("Only maps of the plane can be watched.", field="data", remedy="Give points (n, 2).")
    began = time.monotonic()
    config = replace(config, cost=cost, cost_parameter=cost_parameter, strength=strength, seed=seed)
    trainer = MongeTrainer(config, source, target)
    lattice = _lattice(source.float(), lines)
    floor = _gap_of_identity(trainer)
    while True:
        spent = time.monotonic() - began
        last = trainer.step >= trainer.steps or spent >= seconds or stopping()
        held = trainer.look()
        model = trainer.average
        yield Watched(
            step=trainer.step,
            steps=trainer.steps,
            seconds=round(spent, 2),
            divergence=held["divergence"],
            gap=held["gap"] - floor,
            lattice=model.carry(lattice.view(-1, 2)).view(lines, lines, 2).tolist(),
            images=model.carry(source[:_SHOWN].float()).tolist(),
            last=last,
        )
        if last:
            return
        for _ in range(config.every):
            if trainer.step >= trainer.steps or time.monotonic() - began >= seconds or stopping():
                break
            trainer.advance()


def _lattice(points: Tensor, lines: int) -> Tensor:
    """(lines, lines, 2) over the extent of the points."""
    low, high = points.amin(0), points.amax(0)
    margin = _MARGIN * (high - low)
    across, up = (
        torch.linspace(float(low[axis] - margin[axis]), float(high[axis] + margin[axis]), lines)
        for axis in (0, 1)
    )
    return torch.stack(torch.meshgrid(across, up, indexing="xy"), -1)


def _gap_of_identity(trainer: MongeTrainer) -> float:
    from mlcore.transport.maps.monge import monge_gap
    from mlcore.transport.maps.objectives import RegularisedFit

    objective = trainer.objective
    assert isinstance(objective, RegularisedFit)
    x = objective.held_source
    return float(
        monge_gap(x, x, trainer.model.cost, objective.gap_epsilon, tolerance=1e-3, max_iterations=500).value
    )
