"""Training by two processes equals training by one; a run may go on with more or fewer of them.

In float32 and without dropout in the network; left-out sentences and n-grams are on. What remains is rounding: sums
over a batch are taken in another order. Adam divides by the size of a gradient, which turns the rounding of one that is
zero in exact arithmetic (the bias of a softmax) into a full step, so that its ``eps`` is raised here.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from mlcore.retrieval.data import featurise_all, load_molecules, read_table, save_molecules
from mlcore.retrieval.pairs import make_pairs
from mlcore.retrieval.presets import RetrievalTraining
from mlcore.retrieval.train import Trainer
from mlcore.runtime import distributed
from mlcore.runtime.errors import InputError
from mlcore.runtime.progress import NullProgress
from tests.mlcore.ranks import ROOT, environment, launch
from tests.mlcore.retrieval.made_up import write
from tests.mlcore.retrieval.networks import SMALL

TINY = RetrievalTraining(
    model=SMALL, pretrained=False, words=200, tuning_share=0.15, group=8, lookup_epochs=2, graph_epochs=1,
    lookup_batch=33, joint_epochs=2, joint_batch=43, extra_negatives=15, lookup_rate=3e-3, joint_rate=3e-3,
    transformer_rate=1e-3, bag_rate=1e-2, joint_bag_rate=1e-2, sentence_dropout=0.2, gram_dropout=0.2,
)  # fmt: skip
STOP = 9  # within the second epoch of the lookup phase


class StopAfter(NullProgress):
    """Asks for a stop after so many steps, and notes the epochs it is told of."""

    def __init__(self, steps: int) -> None:
        self._steps, self.told = steps, []  # type: ignore[var-annotated]

    @property
    def stopping(self) -> bool:  # type: ignore[override]
        return len(self.told) >= self._steps

    def update(self, done: int, total: int | None = None, **metrics: float) -> None:
        if "loss" in metrics:
            self.told.append((done, metrics))


def run(folder: Path, name: str, stop: int = 10**9, resume: bool = False) -> dict[str, Any]:
    """Train in ``folder/name``, by however many processes there are; what is left of it."""
    rows = read_table(folder / "table.tsv")
    molecules = load_molecules(folder / "features")
    pairs, tuning = make_pairs(rows, molecules, TINY)
    out = folder / name
    out.mkdir(exist_ok=True)
    trainer = Trainer(TINY, pairs, tuning, molecules, out, precision=torch.float32)
    for optimizer in trainer.optimizers.values():
        optimizer.param_groups[0]["eps"] = optimizer.param_groups[-1]["eps"] = 1e-3
    progress = StopAfter(stop)
    measured = trainer.run(progress if distributed.main() else NullProgress(), resume)
    state = {
        **trainer.model.state_dict(),
        "texts": trainer.text_vectors,
        "molecules": trainer.molecule_vectors,
    }
    return {"state": state, "measured": measured, "step": trainer.step, "told": progress.told}


def two_processes(folder: Path) -> None:
    """A whole run, one that is stopped, and one that goes on from the checkpoint of a single process."""
    torch.set_num_threads(1)
    with distributed.joined("cpu", timeout=120):
        found = {
            "whole": run(folder, "two"),
            "stopped": run(folder, "stopped", STOP),
            "resumed": run(folder, "one-then-two", resume=True),
        }
        try:
            distributed.agree(Trainer(*crowded(folder)), "", "")
        except InputError as fault:
            found["crowded"] = str(fault)
        torch.save(found, folder / f"{distributed.rank()}.pt")


def crowded(folder: Path) -> tuple[Any, ...]:
    config = replace(TINY, joint_batch=12)
    molecules = load_molecules(folder / "features")
    return config, *make_pairs(read_table(folder / "table.tsv"), molecules, config), molecules, folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    made = tmp_path_factory.mktemp("ranks")
    table = write(made / "table.tsv", longest=9)
    save_molecules(featurise_all([row.smiles for row in read_table(table)]), made / "features")
    return made


@pytest.fixture(scope="module")
def one(folder: Path) -> dict[str, Any]:
    found = run(folder, "one")
    run(folder, "one-then-two", STOP)
    return found


@pytest.fixture(scope="module")
def two(folder: Path, one: dict[str, Any]) -> list[dict[str, Any]]:
    ended = launch(two_processes, folder)
    assert [each.status for each in ended] == [0, 0], "\n".join(each.output for each in ended)
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(2)]


def assert_alike(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found["step"] == expected["step"]
    for name, value in expected["state"].items():
        assert torch.allclose(found["state"][name], value, rtol=1e-4, atol=2e-5), (
            name,
            (found["state"][name] - value).abs().max(),
        )
    assert found["measured"] == pytest.approx(expected["measured"])


def test_two_processes_train_what_one_trains(one: dict[str, Any], two: list[dict[str, Any]]) -> None:
    assert one["step"] > 20
    assert_alike(two[0]["whole"], one)
    for (step, losses), (other, same) in zip(two[0]["whole"]["told"], one["told"], strict=True):
        assert step == other
        assert losses == pytest.approx(same, rel=1e-4, abs=1e-5)
    assert {"phrase", "token", "combined", "sentence", "loss", "epoch"} == set(one["told"][-1][1])


def test_every_process_ends_with_the_same_model(two: list[dict[str, Any]]) -> None:
    for name, value in two[0]["whole"]["state"].items():
        assert torch.equal(value, two[1]["whole"]["state"][name]), name


def test_a_stop_seen_by_the_first_ends_all_after_the_same_step(two: list[dict[str, Any]]) -> None:
    assert [each["stopped"]["step"] for each in two] == [STOP, STOP]


def test_a_run_goes_on_with_another_number_of_processes(
    one: dict[str, Any], two: list[dict[str, Any]], folder: Path
) -> None:
    assert two[0]["resumed"]["told"][0][0] == STOP + 1
    assert_alike(two[0]["resumed"], one)
    again = run(folder, "stopped", resume=True)
    assert again["told"][0][0] == STOP + 1
    assert_alike(again, one)


def test_the_first_process_alone_writes_and_a_resumed_run_says_nothing_twice(
    one: dict[str, Any], two: list[dict[str, Any]], folder: Path
) -> None:
    def lines(name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (folder / name / "metrics.jsonl").read_text().splitlines()]

    expected = [(line["step"], line["epoch"]) for line in lines("one")]
    assert len(expected) == 4 + one["step"] // 20
    for name in ("two", "one-then-two"):
        assert [(line["step"], line["epoch"]) for line in lines(name)] == expected


def test_epochs_are_told_as_they_pass(one: dict[str, Any]) -> None:
    epochs = [metrics["epoch"] for _, metrics in one["told"]]
    assert epochs == sorted(epochs)
    assert 0 < epochs[0] < 1
    assert {1.0, 2.0, 3.0, 4.0} <= set(epochs)


def test_a_batch_too_small_for_the_processes_is_refused(two: list[dict[str, Any]]) -> None:
    for each in two:
        assert "has no work for each of 2 processes" in each["crowded"]
        assert "at least 16" in each["crowded"]


def test_torchrun_trains_through_the_ordinary_command(folder: Path) -> None:
    settings = {
        "pretrained": "false", "words": 200, "group": 8, "lookup_epochs": 1, "joint_epochs": 1, "lookup_batch": 32,
        "joint_batch": 32, "extra_negatives": 8,
        **{f"model.{name}": getattr(SMALL, name) for name in (
            "dim", "fine", "text_width", "text_layers", "text_heads", "text_inner", "tokens", "buckets", "bag_width",
            "graph_width", "graph_layers", "hidden",
        )},
    }  # fmt: skip
    out = folder / "command"
    (out / "features").mkdir(parents=True)
    for path in (folder / "features").iterdir():
        (out / "features" / path.name).write_bytes(path.read_bytes())
    command = [
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "mlcore",
        "train",
        "retrieval",
    ]
    arguments = ["--data", str(folder / "table.tsv"), "--out", str(out), "--device", "cpu", "--timeout", "60"]
    changes = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    done = subprocess.run(
        [sys.executable, "-m", *command, *arguments, *changes],
        check=False, env=environment(), cwd=ROOT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (answer,) = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert answer["out"] == str(out)
    card = json.loads((out / "model" / "card.json").read_text())["training"]
    assert card["processes"] == 2
    epochs = [json.loads(line)["epoch"] for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert epochs == [1, 2]
