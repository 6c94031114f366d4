"""Watching a map learn: the beginning, the way, the end, and an end before that."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from torch import Tensor

from mlcore.runtime.errors import InputError
from mlcore.transport.laboratory.films import MapRequest, estimate_map, film, learn
from mlcore.transport.laboratory.watching import watch
from mlcore.transport.maps.presets import PRESETS

TINY = replace(PRESETS["small"], width=16, steps=30, gap_steps=8, every=10, batch=32, gap_batch=32)


def clouds(n: int) -> tuple[Tensor, Tensor]:
    """Unpaired Gaussian clouds of the plane."""
    random = torch.Generator().manual_seed(0)
    x, y = (torch.randn(n, 2, generator=random) for _ in range(2))
    return x, y @ torch.tensor([[1.5, 0.4], [0.4, 0.8]]) + 1


def test_watching_shows_the_beginning_the_way_and_the_end() -> None:
    x, y = clouds(150)
    config = replace(TINY, kind="free", start="identity", every=4)
    events = list(watch(x, y, lines=5, config=config, seconds=60))
    assert [each.step for each in events] == [0, 4, 8]
    assert [each.last for each in events] == [False, False, True]
    assert np.shape(events[0].lattice) == (5, 5, 2)
    assert np.allclose(events[0].images, x[: len(events[0].images)], atol=0.1)
    assert abs(events[0].gap) < 0.05
    json.dumps(events[-1].event())


def test_watching_can_be_stopped() -> None:
    x, y = clouds(150)
    config = replace(TINY, kind="free", gap_steps=10_000, every=2)
    asked = [False]
    stream = watch(x, y, config=config, seconds=60, stopping=lambda: asked[0])
    seen = list(islice(stream, 2))
    asked[0] = True
    assert seen[-1].last is False
    assert next(stream).last is True
    assert next(stream, None) is None
    assert list(watch(x, y, config=config, seconds=0))[-1].last is True


def test_only_the_plane_can_be_watched() -> None:
    with pytest.raises(InputError, match="plane"):
        next(watch(torch.zeros(50, 3), torch.zeros(50, 3)))


MOONS, RING = ({"sample": name, "n": 50, "seed": 1} for name in ("moons", "ring"))


def test_a_film_opens_with_the_problem_and_ends_in_time() -> None:
    opening, *events = film(MapRequest(MOONS, RING, parameters={"seconds": 1}))
    assert opening["problem"]["source"]["n"] == 1000, "a map is for points that were not seen"
    assert len(opening["problem"]["target"]["points"]) == 400
    assert events[-1]["last"]
    assert events[-1]["seconds"] < 5
    json.dumps([opening, *events], allow_nan=False)


def test_points_that_were_given_are_taken_as_they_are() -> None:
    x, y = (each.tolist() for each in clouds(60))
    answer = learn(MapRequest({"points": x}, {"points": y}, parameters={"seconds": 2}))
    assert answer["problem"]["source"]["n"] == 60
    assert np.shape(answer["map"]["images"]) == (60, 2)
    assert answer["held_out"]["map"]["divergence"] < answer["held_out"]["identity"]["divergence"]


def test_an_estimate_trains_nothing_and_keeps_the_limit() -> None:
    found = estimate_map(MapRequest(MOONS, RING, parameters={"seconds": 3}))
    assert found["seconds"] <= found["seconds_at_most"] == 3
    assert "at most 3 s" in found["sentence"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"parameters": {"strength": -1}}, "parameters.strength"),
        ({"cost": "geodesic", "cost_parameters": {"squared": True}}, "cost_parameters.squared"),
        ({"cost": "elastic", "cost_parameters": {"kind": "stvs"}}, "cost_parameters.kind"),
        ({"source": {"points": [[0.0, 1.0]] * 31}}, "source"),
        ({"target": {"points": [[0.0]] * 40}}, "target"),
    ],
)
def test_what_cannot_be_learnt_is_named(change: dict, field: str) -> None:
    request = replace(MapRequest(MOONS, RING), **change)
    for ask in (estimate_map, learn):
        with pytest.raises(InputError) as fault:
            ask(request)
        assert fault.value.field == field


@pytest.mark.parametrize("cost", ["euclidean", "pnorm", "elastic", "cosine", "geodesic"])
def test_every_cost_can_be_watched(cost: str) -> None:
    events = film(MapRequest(MOONS, RING, cost=cost, parameters={"seconds": 1}))
    assert next(events)["problem"]["cost"]["name"] == cost
    assert next(events)["step"] == 0
    events.close()
