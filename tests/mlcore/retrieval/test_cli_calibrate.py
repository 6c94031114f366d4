"""``calibrate retrieval``: what it writes where, and what it prints; the searches themselves are made up."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest

from mlcore.retrieval import calibrate as fitting
from mlcore.retrieval import cli_calibrate
from mlcore.retrieval.calibrate import Asked
from mlcore.retrieval.fusion import Calibration, Fusion
from mlcore.retrieval.model import RetrievalModel
from mlcore.runtime import card
from tests.mlcore.retrieval.made_up import write
from tests.mlcore.retrieval.networks import save_small


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model, and a table of so many molecules that some are held out."""
    made = tmp_path_factory.mktemp("calibrate")
    save_small(made / "model")
    write(made / "table.tsv", longest=12)
    return made


@pytest.fixture(autouse=True)
def searches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network with random weights is never right: these searches are, more often than not."""

    def ask_pool(model: object, queries: list[object], candidates: object, progress: object) -> list[Asked]:
        rng = np.random.default_rng(0)
        found = []
        for _ in queries:
            total = rng.normal(10, 2, 30)
            total[0] += 4
            none = np.full(30, -np.inf)
            found.append(Asked(total / 30, total, none, np.zeros(30), np.arange(30) == 0))
        return found

    monkeypatch.setattr(fitting, "ask_pool", ask_pool)


def calibrate(folder: Path, *more: str) -> int:
    parser = argparse.ArgumentParser()
    cli_calibrate.add_arguments(parser)
    given = [
        "--model",
        folder / "model",
        "--queries",
        folder / "table.tsv",
        "--candidates",
        folder / "table.tsv",
    ]
    return cli_calibrate.run(parser.parse_args([*map(str, given), *more]))


def test_a_dry_run_prints_tables_and_writes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path.name: path.read_bytes() for path in (folder / "model").iterdir()}
    assert calibrate(folder, "--dry-run") == 0
    shown = capsys.readouterr().out
    assert "| queries | answer | n | found | doubtful | absent |" in shown
    assert "| chemical | there |" in shown
    assert "| chemical | not there |" in shown
    assert shown.count("| expected calibration error |") == 2
    assert shown.endswith("nothing was written (dry run)\n")
    assert {path.name: path.read_bytes() for path in (folder / "model").iterdir()} == before


def test_constants_go_into_the_configuration_and_their_origin_into_the_card(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = card.read(folder / "model")
    assert calibrate(folder, "--json") == 0
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    found = card.read(folder / "model")
    origin = found.pop("calibration")
    assert found == before
    assert origin["command"].startswith("python -m mlcore calibrate retrieval --model ")
    assert origin["data"][0] == card.data_file(folder / "table.tsv", "queries")
    assert origin["queries"] == {
        "chemical": origin["queries"]["chemical"],
        "catalogue": 0,
        "lay": 0,
        "absent": 0,
    }
    assert str(folder) not in json.dumps(origin)
    config = RetrievalModel.load(folder / "model").config
    assert Fusion.from_config(config) == Fusion.from_config(printed)
    assert Calibration.from_config(config) == Calibration.from_config(printed)
    there, gone = printed["verdict"]["confusion"]
    assert there["queries"] == gone["queries"] == origin["queries"]["chemical"] > 0
    assert there["found"] + there["doubtful"] + there["absent"] == there["queries"]
