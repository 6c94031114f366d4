"""Fitting maps: known maps are found, runs repeat and resume to the bit, and what is held out stays out."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from mlcore.runtime.errors import InputError
from mlcore.runtime.progress import NullProgress
from mlcore.transport.laboratory.samples import sample
from mlcore.transport.laboratory.watching import PLANE
from mlcore.transport.maps.fitting import MongeTrainer, fit_map, map_config
from mlcore.transport.maps.presets import PRESETS, MongeTraining
from mlcore.transport.maps.scores import (
    against_pairs,
    displacement_cosine,
    entropic_map,
    l2_uvp,
    on_held_out,
    verdict,
)
from mlcore.transport.maps.training import train

TINY = replace(PRESETS["small"], width=16, steps=30, gap_steps=8, every=10, batch=32, gap_batch=32)


def gaussians(n: int, d: int) -> tuple[Tensor, Tensor, Tensor]:
    """Source, target (unpaired) and the matrix of the optimal map between them."""
    random = torch.Generator().manual_seed(0)
    root = torch.randn(d, d, generator=random) / math.sqrt(d)
    matrix = root @ root.mT + 0.5 * torch.eye(d)
    x, y = (torch.randn(n, d, generator=random) for _ in range(2))
    return x, y @ matrix + 1, matrix


class Stops(NullProgress):
    """Asks for a stop at a step."""

    def __init__(self, step: int) -> None:
        self.step, self.stopping = step, False

    def update(self, done: int, total: int | None = None, **metrics: float) -> None:
        self.stopping = done >= self.step


@pytest.mark.parametrize("dimension", [2, 4, 8, 16])
def test_gaussian_map_is_recovered(dimension: int) -> None:
    x, y, matrix = gaussians(6000, dimension)
    model = fit_map(x, y, replace(TINY, width=32, steps=120, every=60, batch=256))
    new = torch.randn(4000, dimension, generator=torch.Generator().manual_seed(5))
    assert l2_uvp(model.carry(new), new @ matrix + 1) < 1 < 50 < l2_uvp(new, new @ matrix + 1)


@pytest.mark.slow
def test_from_the_identity_the_gap_is_what_finds_the_gaussian_map() -> None:
    """Without the gap the divergence falls as far, to a map that is not the optimal one."""
    x, y, matrix = gaussians(4000, 2)
    new = torch.randn(2000, 2, generator=torch.Generator().manual_seed(5))
    config = replace(PRESETS["small"], kind="free", start="identity", width=32, gap_batch=256)
    percent = {}
    for strength in (0.0, 1.0):
        model = fit_map(x, y, replace(config, gap_steps=500, strength=strength))
        maps = {"map": model.carry, "identity": lambda points: points}
        scores = on_held_out(maps, new[:500], y[:500], model.cost)
        assert scores["map"]["divergence"] < 0.05 * scores["identity"]["divergence"]
        percent[strength] = l2_uvp(model.carry(new), new @ matrix + 1)
    assert percent[1.0] < 1
    assert percent[0.0] > 3


@pytest.mark.slow
def test_bent_map_is_recovered_where_the_linear_map_fails() -> None:
    """``T(x) = x + 1.5 tanh(4 x)``: the gradient of a convex function, far from linear."""
    random = torch.Generator().manual_seed(1)
    x, other = (torch.randn(4000, 4, generator=random) for _ in range(2))

    def true(points: Tensor) -> Tensor:
        return points + 1.5 * torch.tanh(4 * points)

    model = fit_map(x, true(other), replace(PRESETS["small"], steps=600))
    found = against_pairs(model, x, true(x))
    assert found["l2_uvp"] < 0.4 * found["baselines"]["linear"]["l2_uvp"]
    assert found["cosine"] > 0.95
    assert found["gap"] == pytest.approx(0, abs=1e-4)


@pytest.mark.slow
def test_without_the_gap_the_fit_succeeds_and_the_map_is_not_optimal() -> None:
    x, y = (torch.from_numpy(sample(name, 1500, 0)).float() for name in ("moons", "circles"))
    config = replace(PLANE, gap_steps=400, gap_batch=128)
    scores = {}
    for strength in (0.0, 0.3):
        model = fit_map(x, y, replace(config, strength=strength))
        maps = {"map": model.carry, "identity": lambda points: points}
        found = on_held_out(maps, x[:500], y[:500], model.cost)
        assert found["map"]["divergence"] < 0.4 * found["identity"]["divergence"]
        scores[strength] = found["map"]["gap"] - found["identity"]["gap"]
    assert scores[0.3] < 0.2 * scores[0.0]


@pytest.mark.parametrize("kind", ["convex", "free", "conservative"])
def test_a_resumed_run_ends_at_the_same_weights(kind: str, tmp_path) -> None:
    x, y, _ = gaussians(200, 3)
    config = replace(TINY, kind=kind)
    whole = MongeTrainer(config, x, y, tmp_path / "whole")
    (tmp_path / "whole").mkdir()
    measured = whole.run()
    (tmp_path / "parts").mkdir()
    MongeTrainer(config, x, y, tmp_path / "parts").run(Stops(5))
    parts = MongeTrainer(config, x, y, tmp_path / "parts")
    assert parts.run(resume=True) == measured
    assert parts.step == whole.step
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, parts.model.state_dict()[name]), name
    curves = [
        [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("whole", "parts")
    ]
    assert curves[0] == curves[1]


def test_a_checkpoint_of_other_parameters_is_refused(tmp_path) -> None:
    x, y, _ = gaussians(200, 2)
    MongeTrainer(TINY, x, y, tmp_path).run(Stops(3))
    with pytest.raises(InputError, match="other parameters: rate"):
        MongeTrainer(replace(TINY, rate=0.5), x, y, tmp_path).run(resume=True)


def test_seeds_decide_everything() -> None:
    x, y, _ = gaussians(200, 2)
    images = [fit_map(x, y, replace(TINY, seed=seed)).carry(x) for seed in (1, 1, 2)]
    assert torch.equal(images[0], images[1])
    assert not torch.equal(images[0], images[2])


def test_held_out_points_are_not_trained_on_and_every_other_is_drawn_once() -> None:
    x, y, _ = gaussians(330, 2)
    trainer = MongeTrainer(TINY, x, y)
    assert len(trainer.held_source) == 33
    both = torch.cat([trainer.source, trainer.held_source])
    assert torch.equal(both[both[:, 0].argsort()], x[x[:, 0].argsort()])
    drawn: list[int] = []
    for _ in range(len(trainer.source) // trainer.batch):
        drawn += trainer._draw(0).tolist()
        trainer.step += 1
    assert len(drawn) == len(set(drawn))


@pytest.mark.parametrize(
    ("cost", "kind"),
    [("squared_euclidean", "convex"), ("geodesic", "sphere"), ("euclidean", "free"), ("pnorm", "free")],
)
def test_the_cost_chooses_the_map(cost: str, kind: str) -> None:
    assert map_config(MongeTraining(cost=cost), 3).kind == kind


@pytest.mark.parametrize("cost", ["geodesic", "euclidean", "pnorm", "elastic", "cosine"])
def test_every_cost_can_be_fitted(cost: str, tmp_path) -> None:
    x, y, _ = gaussians(150, 3)
    result = train(replace(TINY, cost=cost), x, y, tmp_path, NullProgress())
    assert all(math.isfinite(value) for row in result["held_out"].values() for value in row.values())
    card = json.loads((tmp_path / "model" / "card.json").read_text())
    assert card["metrics"]["verdict"] == result["verdict"]


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        (torch.zeros(50, 2), torch.zeros(50, 3), "same width"),
        (torch.zeros(5, 2), torch.zeros(50, 2), "source has 5 points"),
        (torch.full((50, 2), math.nan), torch.zeros(50, 2), "no finite number"),
    ],
)
def test_clouds_that_cannot_be_fitted_are_refused(x: Tensor, y: Tensor, words: str) -> None:
    with pytest.raises(InputError, match=words):
        MongeTrainer(TINY, x, y)


def test_constant_clouds_do_no_harm() -> None:
    x, _, _ = gaussians(100, 2)
    model = fit_map(x, torch.ones(100, 2), TINY)
    assert torch.allclose(model.carry(x), torch.ones(100, 2), atol=0.05)


def test_scores_of_known_maps() -> None:
    x, _, matrix = gaussians(500, 3)
    true = x @ matrix + 1
    assert l2_uvp(true, true) == 0
    assert l2_uvp(true.mean(0).expand_as(true), true) == pytest.approx(100)
    assert displacement_cosine(x, true, true) == pytest.approx(1)
    assert displacement_cosine(x, 2 * x - true, true) == pytest.approx(-1)
    assert displacement_cosine(x, x, true) == 0


def test_discrete_map_carries_new_points_towards_the_target() -> None:
    x, y, matrix = gaussians(2000, 2)
    carry = entropic_map(x, y, fit_map(x, y, TINY).cost)
    new = torch.randn(500, 2, generator=torch.Generator().manual_seed(9))
    assert l2_uvp(carry(new), new @ matrix + 1) < 5


def test_verdict_names_the_simplest_that_is_enough() -> None:
    def scores(own: float, discrete: float, linear: float) -> dict[str, dict[str, float]]:
        return {
            name: {"divergence": value, "gap": 0.0}
            for name, value in (("map", own), ("linear", linear), ("discrete", discrete))
        }

    assert verdict(scores(1, 0.9, 2)).startswith("The discrete plan is enough")
    assert verdict(scores(1, 2, 1)).startswith("The linear map is enough")
    assert verdict(scores(1, 2, 3)).startswith("The network")
