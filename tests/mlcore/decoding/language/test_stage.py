"""One stage of training: it learns, a stop and a kill lose nothing, and what goes on ends as if there had been none."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mlcore.decoding.language import data, distillation, precision
from mlcore.decoding.language import model as language_model
from mlcore.decoding.language import stage as stages
from mlcore.decoding.language.presets import LanguageTraining, Shape
from mlcore.decoding.language.stage import Stage
from mlcore.retrieval.data import Row
from mlcore.runtime.errors import InputError
from mlcore.runtime.progress import NullProgress
from tests.mlcore.decoding.molecule_texts import TINY, pairs, tokenizer

LEARNED = tokenizer()
CORPUS = data.tokenised(
    data.Material(
        [Row(str(number), *pair) for number, pair in enumerate(pairs())],
        [smiles for smiles, _ in pairs()],
        np.arange(len(pairs())) % 7 == 0,
        [],
    ),
    LEARNED,
    128,
)


class Killed(BaseException):
    """The process is gone."""


class Until(NullProgress):
    """Stops, or dies, at a step."""

    def __init__(self, stop: int = 10**9, die: int = 10**9) -> None:
        self.stop, self.die, self.said = stop, die, []

    @property
    def stopping(self) -> bool:
        return len(self.said) >= self.stop

    def update(self, done, total=None, **metrics):
        self.said.append((done, total, metrics))
        if len(self.said) >= self.die:
            raise Killed


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def begin(
    out: Path, config: LanguageTraining = TINY, width: int = 32, epochs: float = 2.0, name: str = "target"
) -> Stage:
    """A stage on a fresh model, the same each time."""
    torch.manual_seed(config.seed)
    model = language_model.build(Shape(width=width, layers=1, heads=2, inner=48), LEARNED, 128)

    def loss(worker: nn.Module, given: data.Batch):
        counted = given.weights > 0
        logits = language_model.logits_at(worker, given.ids, counted)
        return distillation.cross_entropy(logits, given.ids[:, 1:][counted], given.weights[counted]), {
            "one": 1.0
        }

    return Stage(
        name, model, loss, CORPUS, config, out, epochs=epochs, rate=config.rate, vector_rate=config.vector_rate,
        pad=int(LEARNED.pad_token_id), device="cpu",
    )  # fmt: skip


def weights(stage: Stage) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in stage.model.state_dict().items()}


def measured(stage: Stage) -> float:
    """The loss on some sequences."""
    with torch.no_grad():
        return float(stage.loss(stage.model, data.batch(CORPUS, np.arange(60), stage.pad, 0.3))[0])


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_it_learns_and_tells(tmp_path):
    stage, heard = begin(tmp_path), Until()
    assert stage.run(heard, False, 100, 1000)
    assert [done for done, _, _ in heard.said] == list(range(101, 101 + stage.steps))
    assert {total for _, total, _ in heard.said} == {1000}
    assert heard.said[-1][2]["target_one"] == pytest.approx(1)
    assert heard.said[-1][2]["target_loss"] < heard.said[0][2]["target_loss"]
    assert measured(stage) < measured(begin(tmp_path)) - 1
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines][-1] == 100 + stage.steps
    assert {line["step"] % 20 for line in lines[:-1]} <= {0}


@pytest.mark.parametrize("epochs", [0.0, 0.5, 1.0, 2.5])
def test_it_makes_as_many_steps_as_epochs_ask_for(tmp_path, epochs):
    stage = begin(tmp_path, epochs=epochs)
    batches = len(stage._batches)
    heard = Until()
    assert stage.run(heard, False, 0, 0)
    assert stage.step == stage.steps == len(heard.said)
    assert stage.steps == int(np.ceil(epochs * batches))


def test_stopped_and_resumed_it_ends_as_if_nothing_had_happened(tmp_path):
    """Bit for bit, with the stop in the second epoch."""
    whole = begin(tmp_path / "whole", epochs=2.5)
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    assert whole.run(NullProgress(), False, 0, 0)
    for stop in (whole.steps // 3, whole.steps // 3):
        part = begin(tmp_path / "parts", epochs=2.5)
        assert part.run(Until(stop), True, 0, 0) is False
    last = begin(tmp_path / "parts", epochs=2.5)
    assert last.run(NullProgress(), True, 0, 0)
    assert last.step == whole.step
    assert same(weights(last), weights(whole))


def test_killed_between_two_checkpoints_it_goes_on_from_the_earlier(tmp_path, monkeypatch):
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    whole = begin(tmp_path / "whole")
    whole.run(NullProgress(), False, 0, 0)
    saves: list[int] = []
    save = Stage._save

    def every_fifth(stage):
        if stage.step % 5 == 0 or stage.step == stage.steps:
            saves.append(stage.step)
            save(stage)

    monkeypatch.setattr(Stage, "_save", every_fifth)
    victim = begin(tmp_path / "killed", replace(TINY, checkpoint_minutes=0.0))
    with pytest.raises(Killed):
        victim.run(Until(die=13), True, 0, 0)
    assert saves[-1] == 10
    heard, survivor = Until(), begin(tmp_path / "killed")
    assert survivor.run(heard, True, 0, 0)
    assert heard.said[0][0] == 11
    assert same(weights(survivor), weights(whole))
    steps = [
        [json.loads(line)["step"] for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("whole", "killed")
    ]
    assert steps[0] == steps[1], "no point of the curves twice, none missing"


def test_checkpoints_come_as_often_as_asked(tmp_path, monkeypatch):
    saved: list[int] = []
    monkeypatch.setattr(Stage, "_save", lambda stage: saved.append(stage.step))
    stage = begin(tmp_path, replace(TINY, checkpoint_minutes=0.0), epochs=0.5)
    stage.run(NullProgress(), False, 0, 0)
    assert saved == [*range(1, stage.steps + 1), stage.steps]
    saved.clear()
    rare = begin(tmp_path, replace(TINY, checkpoint_minutes=60.0), epochs=0.5)
    rare.run(NullProgress(), False, 0, 0)
    assert saved == [rare.steps]


def test_a_finished_stage_is_restored_and_leaves_later_curves_alone(tmp_path):
    first = begin(tmp_path)
    first.run(NullProgress(), False, 0, 0)
    later = json.dumps({"time": 0.0, "step": first.steps + 20, "epoch": 0, "draft_loss": 1.0})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write(later + "\n")
    heard, again = Until(), begin(tmp_path)
    assert again.run(heard, True, 0, 0)
    assert heard.said == []
    assert same(weights(again), weights(first))
    assert (tmp_path / "metrics.jsonl").read_text().splitlines()[-1] == later


def test_without_resume_it_begins_anew(tmp_path):
    begin(tmp_path).run(NullProgress(), False, 0, 0)
    heard = Until()
    begin(tmp_path, epochs=0.5).run(heard, False, 0, 0)
    assert heard.said[0][0] == 1


def test_a_checkpoint_of_another_size_is_told(tmp_path):
    begin(tmp_path, epochs=0.2).run(NullProgress(), False, 0, 0)
    with pytest.raises(InputError, match="another size") as caught:
        begin(tmp_path, width=64).run(NullProgress(), True, 0, 0)
    assert caught.value.field == "--resume"


def test_the_rate_rises_and_falls_to_nothing(tmp_path):
    stage = begin(tmp_path, replace(TINY, warmup=0.25), epochs=2.0)
    rates = []
    for step in range(stage.steps):
        stage.step = step
        stage._schedule()
        rates.append(
            [group["lr"] for optimizer in stage.optimizers.values() for group in optimizer.param_groups]
        )
    shown = np.array(rates) / TINY.rate
    top = int(shown[:, 0].argmax())
    assert np.allclose(shown, shown[:, :1])
    assert shown.max() == pytest.approx(1, abs=0.02)
    assert (np.diff(shown[: top + 1, 0]) > 0).all()
    assert (np.diff(shown[top:, 0]) <= 0).all()
    assert shown[-1, 0] < 0.02


def test_every_weight_has_one_optimiser(tmp_path):
    stage = begin(tmp_path)
    held = [
        id(p)
        for optimizer in stage.optimizers.values()
        for group in optimizer.param_groups
        for p in group["params"]
    ]
    assert sorted(held) == sorted(id(p) for p in stage.model.parameters())
    matrices = stage.optimizers["matrices"].param_groups[0]["params"]
    embedding = stage.model.get_input_embeddings().weight
    assert all(p.dim() == 2 and p is not embedding for p in matrices)


def test_the_worker_in_half_precision_has_the_weights_of_the_model_at_every_step(tmp_path, monkeypatch):
    monkeypatch.setattr(precision, "half_is_fast", lambda device: True)
    stage = begin(tmp_path, epochs=1.0)
    assert stage.shadow.worker is not stage.model
    inner, seen = stage.loss, []

    def loss(worker, given):
        pairs_ = zip(worker.parameters(), stage.model.parameters(), strict=True)
        seen.append(all(torch.equal(own, held.bfloat16()) for own, held in pairs_))
        return inner(worker, given)

    stage.loss = loss
    assert stage.run(NullProgress(), False, 0, 0)
    assert seen == [True] * stage.steps
    assert {weight.dtype for weight in stage.model.parameters()} == {torch.float32}
    stage.loss = inner
    assert measured(stage) < measured(begin(tmp_path)) - 0.5
    assert all(weight.grad is None for weight in stage.shadow.worker.parameters())


def test_half_precision_hands_back_the_gradient_of_its_weights(monkeypatch):
    monkeypatch.setattr(precision, "half_is_fast", lambda device: True)
    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    shadow = precision.Shadow(model, "cpu")
    given = torch.randn(5, 4)
    shadow.refreshed()(given.bfloat16()).square().sum().backward()
    shadow.hand_back()
    wanted = torch.autograd.grad(model(given).square().sum(), list(model.parameters()))
    for weight, gradient in zip(model.parameters(), wanted, strict=True):
        assert weight.grad.dtype == torch.float32
        torch.testing.assert_close(weight.grad, gradient, rtol=0.05, atol=0.1)


def test_gradients_are_clipped(tmp_path, monkeypatch):
    stage = begin(tmp_path, epochs=0.1)
    inner = stage.loss
    stage.loss = lambda worker, given: (1e6 * inner(worker, given)[0], {})
    norms = []
    step = stage.optimizers["matrices"].step

    def watched():
        norms.append(torch.stack([p.grad.norm() for p in stage.model.parameters()]).norm().item())
        return step()

    monkeypatch.setattr(stage.optimizers["matrices"], "step", watched)
    stage.run(NullProgress(), False, 0, 0)
    assert norms
    assert max(norms) <= stages._CLIP * 1.001
