"""A map that learns before one's eyes: the laboratory's clouds, the fit as events, and where it ends.

A map is for points that were not seen before, so that sampled clouds are drawn with at least 1,000 points, and every
figure is taken on points that are held out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mlcore.runtime.errors import InputError
from mlcore.transport.laboratory.clouds import PAGE, Cloud, Limits, make_cloud
from mlcore.transport.laboratory.estimates import spoken_bytes, spoken_seconds
from mlcore.transport.laboratory.grounds import Ground, ground_named
from mlcore.transport.laboratory.parameters import Parameter, checked
from mlcore.transport.laboratory.watching import PLANE, watch
from mlcore.transport.maps.fitting import FEWEST

Array = NDArray[np.float64]
DRAWN = 1_000  # points of a sampled cloud, at least
SHOWN = 400  # points of either cloud that the opening lists
#: of a step with its share of the looks at held-out points, on one core; good to a factor of three
STEP_SECONDS = 0.03
TRAINING = replace(PLANE, gap_steps=300, gap_batch=128, gap_rate=1e-2, every=6)
PARAMETERS = (
    Parameter(
        "strength",
        "λ",
        "number",
        0.3,
        "How much the Monge gap counts beside the fit. 0: any map onto the target will do, and paths may cross.",
        0.0,
        10.0,
    ),
    Parameter(
        "seconds", "seconds, at most", "number", 15.0, "The training ends then, finished or not.", 1.0, 20.0
    ),
    Parameter("seed", "seed", "whole", 0, "Of the weights that the map begins with.", 0, 2**31 - 1),
)


@dataclass(frozen=True)
class MapRequest:
    """Two clouds of the plane and a cost; ``parameters``: strength, seconds, seed."""

    source: Mapping[str, Any]
    target: Mapping[str, Any]
    cost: str = "squared_euclidean"
    cost_parameters: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    limits: Limits = PAGE


@dataclass(frozen=True, eq=False)
class _Prepared:
    source: Cloud
    target: Cloud
    ground: Ground
    cost_values: dict[str, Any]
    cost_parameter: float
    values: dict[str, Any]


def estimate_map(request: MapRequest) -> dict[str, Any]:
    """Memory and time that the training will need.

    Raises:
        InputError: as for :func:`film`.
    """
    return _needs(_prepared(request))


def film(request: MapRequest, stopping: Callable[[], bool] = lambda: False) -> Iterator[dict[str, Any]]:
    """The opening (``problem``, ``parameters``, ``estimate``), then the events of :func:`~.watching.watch` as JSON.

    Raises:
        InputError: clouds that are not in the plane, too few or weighted points, a cost that maps do not take, or a
            value that cannot be used; raised before the opening.
    """
    prepared = _prepared(request)
    values = prepared.values
    yield {
        "problem": {
            "source": _described(prepared.source),
            "target": _described(prepared.target),
            "cost": {
                "name": prepared.ground.name,
                "label": prepared.ground.label,
                "parameters": prepared.cost_values,
            },
        },
        "parameters": values,
        "estimate": _needs(prepared)["sentence"],
    }
    events = watch(
        torch.from_numpy(prepared.source.points),
        torch.from_numpy(prepared.target.points),
        cost=prepared.ground.name,
        cost_parameter=prepared.cost_parameter,
        strength=values["strength"],
        seconds=values["seconds"],
        seed=values["seed"],
        stopping=stopping,
        config=TRAINING,
    )
    for event in events:
        yield event.event()


def learn(request: MapRequest) -> dict[str, Any]:
    """Train to the end: the opening, with ``map`` (the last event) and ``held_out`` (``identity`` and ``map``: figures
    of the first and of the last event).

    Raises:
        InputError: as for :func:`film`.
    """
    began = time.perf_counter()
    opening, first, *rest = film(request)
    last = rest[-1] if rest else first
    figures = {
        name: {key: event[key] for key in ("divergence", "gap")}
        for name, event in (("identity", first), ("map", last))
    }
    return {**opening, "held_out": figures, "map": last, "seconds": time.perf_counter() - began}


def _prepared(request: MapRequest) -> _Prepared:
    values = checked(PARAMETERS, request.parameters, "the map")
    ground, cost_values, _ = ground_named(request.cost, request.cost_parameters)
    source, target = (_cloud(getattr(request, side), side, request.limits) for side in ("source", "target"))
    return _Prepared(source, target, ground, cost_values, _cost_parameter(ground, cost_values), values)


def _cloud(spec: Mapping[str, Any], side: str, limits: Limits) -> Cloud:
    cloud = make_cloud(spec, side, limits)
    if "sample" in cloud.recipe and len(cloud) < DRAWN:
        cloud = make_cloud({**spec, "n": DRAWN}, side, limits)
    if cloud.points.shape[1] != 2:
        raise InputError(
            f"the {side} has {cloud.points.shape[1]} coordinates, and only maps of the plane can be watched",
            field=side,
            remedy="Train it with python -m mlcore train monge.",
        )
    if len(cloud) < FEWEST:
        raise InputError(
            f"the {side} has {len(cloud)} points, and a map is learnt from at least {FEWEST}",
            field=side,
            remedy="Draw more points, or choose a sampled cloud.",
        )
    if cloud.weighted and float(np.ptp(cloud.weights)) > 1e-12 * float(cloud.weights.max()):
        raise InputError(
            f"the {side} has weights, and a map is learnt from points that count alike",
            field=side,
            remedy="Leave the weights out, or draw points with the weights as probabilities.",
        )
    return cloud


def _cost_parameter(ground: Ground, values: Mapping[str, Any]) -> float:
    """The one parameter that maps take of a cost; the further ones must have the values that maps imply."""
    p = values.get("p", 1.0)
    implied = {"power": p > 1, "squared": False, "kind": "l1"}
    for name, value in implied.items():
        if name in values and values[name] != value and not (name == "power" and p == 1):
            wanted = {True: "true", False: "false"}.get(value, value)
            raise InputError(
                f"maps are not learnt for the cost {ground.label} with {name} = {str(values[name]).lower()}",
                field=f"cost_parameters.{name}",
                remedy=f"Use {name} = {wanted} here.",
            )
    return float(p) if ground.name == "pnorm" else float(values.get("strength", 0.0))


def _described(cloud: Cloud) -> dict[str, Any]:
    return {"recipe": dict(cloud.recipe), "n": len(cloud), "points": cloud.points[:SHOWN].tolist()}


def _needs(prepared: _Prepared) -> dict[str, Any]:
    rows, columns = len(prepared.source), len(prepared.target)
    most = prepared.values["seconds"]
    seconds = min(STEP_SECONDS * TRAINING.gap_steps, most)
    held = max(TRAINING.held_out * max(rows, columns), TRAINING.gap_batch)
    memory = int(4 * (12 * held**2 + 16 * (rows + columns)) + 20e6)
    return {
        "source_points": rows,
        "target_points": columns,
        "steps": TRAINING.gap_steps,
        "memory_bytes": memory,
        "seconds": seconds,
        "seconds_at_most": most,
        "sentence": f"needs about {spoken_bytes(memory)} and {spoken_seconds(seconds)}, "
        f"at most {spoken_seconds(most)}",
    }
