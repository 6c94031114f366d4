"""The card of the shipped model, and the commands that write into one."""

from __future__ import annotations

import argparse
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mlcore.retrieval import cli_evaluate
from mlcore.runtime import card
from mlcore.runtime.errors import InputError
from mlcore.runtime.weights import fingerprint
from tests.mlcore.retrieval import shipped
from tests.mlcore.retrieval.made_up import write
from tests.mlcore.retrieval.networks import save_small

HASH = re.compile(r"[0-9a-f]{64}")
REVISION = re.compile(r"[0-9a-f]{40}(-dirty)?|ferry \d.*")
#: what a card says of a measurement beside the figures
ABOUT = {"command", "data", "code_revision"}


def names(value: Any, path: str = "") -> set[str]:
    """The paths of all keys of nested dictionaries."""
    if not isinstance(value, Mapping):
        return set()
    return {f"{path}/{key}" for key in value} | {
        name for key, inner in value.items() for name in names(inner, f"{path}/{key}")
    }


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A folder with a small model and the tables to measure it on."""
    save_small(tmp_path / "model")
    lines = write(tmp_path / "candidates.tsv").read_text().splitlines()
    (tmp_path / "queries.tsv").write_text("\n".join(lines[:9]) + "\n")
    (tmp_path / "candidates.tsv").write_text("\n".join(lines[:25]) + "\n")
    return tmp_path


def evaluate(folder: Path, *more: str) -> int:
    parser = argparse.ArgumentParser()
    cli_evaluate.add_arguments(parser)
    given = ["--model", folder / "model", "--queries", folder / "queries.tsv"]
    given += ["--candidates", folder / "candidates.tsv", "--json", *more]
    return cli_evaluate.run(parser.parse_args([str(each) for each in given]))


def test_the_card_holds_what_evaluate_prints_and_keeps_the_rest(
    small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card.record(small / "model", name="small", limits=["none"])
    before = card.read(small / "model")
    assert evaluate(small, "--card", str(small / "model")) == 0
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    found = card.read(small / "model")
    metrics = found.pop("metrics")
    assert found == before
    assert {key: metrics[key] for key in printed} == printed
    assert set(metrics) - set(printed) == ABOUT
    assert [each["use"] for each in metrics["data"]] == ["queries", "candidates"]
    assert metrics["data"][0]["sha256"] == card.data_file(small / "queries.tsv")["sha256"]
    assert str(small) not in json.dumps(metrics)


def test_without_the_option_the_card_stays(small: Path) -> None:
    before = card.read(small / "model")
    assert evaluate(small) == 0
    assert card.read(small / "model") == before


def test_figures_of_another_model_are_refused_before_they_are_measured(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_small(small / "other", seed=1)
    monkeypatch.setattr("mlcore.retrieval.evaluate.evaluate", lambda *_: pytest.fail("measured"))
    with pytest.raises(InputError, match="is of the weights"):
        evaluate(small, "--card", str(small / "other"))


def test_the_shipped_card_names_its_figures_as_evaluate_does(
    small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(small) == 0
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    metrics = card.read(shipped.MODEL)["metrics"]
    assert names({key: value for key, value in metrics.items() if key not in ABOUT}) == names(printed)
    assert metrics["full"]["text_to_molecule"]["queries"] == 3301
    assert metrics["full"]["text_to_molecule"]["pool"] == 33008


def test_the_shipped_card_says_where_the_model_comes_from() -> None:
    found = card.read(shipped.MODEL)
    assert set(found) >= {"name", "what", "data", "training", "metrics", "calibration", "limits", "sha256"}
    assert found["sha256"] == fingerprint(shipped.MODEL) == found["metrics"]["model"]
    for each in found["data"]:
        assert each["licence"]
        assert HASH.fullmatch(each["sha256"])
    trained_on = {(each["file"], each["sha256"]) for each in found["training"]["data"]}
    assert trained_on == {(each["file"], each["sha256"]) for each in found["data"]}
    assert found["training"]["seed"] == 0
    assert found["training"]["seconds"] > 0
    for part, verb in (("metrics", "evaluate"), ("calibration", "calibrate")):
        assert found[part]["command"].startswith(f"python -m mlcore {verb} retrieval ")
        assert all(HASH.fullmatch(each["sha256"]) for each in found[part]["data"])
    assert all(
        REVISION.fullmatch(found[part]["code_revision"]) for part in ("training", "metrics", "calibration")
    )
    validation = {each["sha256"] for each in found["metrics"]["data"] if each["use"] == "queries"}
    assert not validation & {each["sha256"] for each in found["data"]}, "measured on what it was trained on"


def test_what_a_search_is_fitted_with_is_not_read_from_the_card(tmp_path: Path) -> None:
    """The card's ``calibration`` tells how the constants were made; the constants are in ``config.json``."""
    from mlcore.retrieval.fusion import Calibration
    from mlcore.retrieval.model import RetrievalModel
    from mlcore.retrieval.search import Searcher

    save_small(tmp_path / "model")
    card.record(
        tmp_path / "model", calibration={"a": 99.0, "command": "python -m mlcore calibrate retrieval"}
    )
    shutil.copytree(tmp_path / "model", tmp_path / "copy")
    assert Searcher(RetrievalModel.load(tmp_path / "copy"), {}).calibration == Calibration()
