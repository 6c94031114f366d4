"""The command line of maps: train, go on, evaluate, carry a file, and what it says of faulty ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mlcore.__main__ import main

BRIEF = [f"--set={pair}" for pair in ("steps=40", "every=20", "batch=64", "width=16")]


def last_line(capsys: pytest.CaptureFixture[str]) -> dict:
    return json.loads(capsys.readouterr().out.strip().splitlines()[-1])


@pytest.fixture
def clouds(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    source = random.normal(size=(300, 2))
    target = 2 * random.normal(size=(300, 2)) + 1
    np.savez(tmp_path / "clouds.npz", source=source, target=target)
    np.savez(tmp_path / "pairs.npz", source=source, mapped=2 * source + 1)
    np.save(tmp_path / "source.npy", source)
    np.savetxt(tmp_path / "target.csv", target, delimiter=",", header="first,second", comments="")
    return tmp_path


def test_from_clouds_to_carried_points(clouds: Path, capsys) -> None:
    out = clouds / "out"
    assert main(["train", "monge", "--data", str(clouds / "clouds.npz"), "--out", str(out), *BRIEF]) == 0
    printed = capsys.readouterr().out.strip().splitlines()
    trained = json.loads(printed[-1])
    assert set(trained["held_out"]) == {"map", "identity", "linear", "discrete"}
    assert printed[-2] == trained["verdict"]

    arguments = ["evaluate", "monge", "--model", str(out), "--pairs", str(clouds / "pairs.npz")]
    assert main([*arguments, "--json"]) == 0
    scores = last_line(capsys)
    assert scores["l2_uvp"] < 5 < scores["baselines"]["identity"]["l2_uvp"]
    assert scores["cosine"] > 0.95
    assert set(scores["baselines"]) == {"identity", "linear"}
    assert main(arguments) == 0
    assert "linear" in capsys.readouterr().out

    images = clouds / "images.npy"
    carry = ["transport", "monge", "--model", str(out / "model"), "--points", str(clouds / "source.npy")]
    assert main([*carry, "--out", str(images), "--json"]) == 0
    assert last_line(capsys)["points"] == 300
    away = np.load(images) - (2 * np.load(clouds / "source.npy") + 1)
    assert (away**2).sum(1).mean() < 0.5
    assert main([*carry, "--out", str(clouds / "images.csv")]) == 0
    assert np.allclose(np.loadtxt(clouds / "images.csv", delimiter=","), np.load(images), atol=1e-5)


def test_two_files_and_resuming_a_finished_run(clouds: Path, capsys) -> None:
    data = [f"--data=source={clouds / 'source.npy'}", f"--data=target={clouds / 'target.csv'}"]
    arguments = ["train", "monge", *data, "--out", str(clouds / "out"), *BRIEF]
    assert main(arguments) == 0
    first = last_line(capsys)
    assert main([*arguments, "--resume"]) == 0
    assert last_line(capsys) == first


def test_parquet(clouds: Path, capsys) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    points = np.load(clouds / "source.npy")
    table = arrow.table({"a": points[:, 0], "b": points[:, 1]})
    parquet.write_table(table, clouds / "source.parquet")
    from mlcore.transport.maps.data import read_table

    assert np.allclose(read_table(clouds / "source.parquet", "source").numpy(), points, atol=1e-6)
    (clouds / "torn.parquet").write_bytes((clouds / "source.parquet").read_bytes()[:100])
    assert main(["transport", "monge", "--model", "none", "--points", "x", "--out", "y.npy"]) == 2
    with pytest.raises(ValueError, match="no readable Parquet"):
        read_table(clouds / "torn.parquet", "source")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data", "source.npy"], "Give --data source=FILE"),
        (["--data", "missing.npz"], "cannot be read"),
        (["--data", "pairs.npz"], "no array called target"),
        (["--data", "source=source.npy", "--data", "target=text.npy"], "no .npy file"),
        (["--data", "clouds.npz", "--preset", "huge"], "no preset 'huge'"),
        (["--data", "clouds.npz", "--set", "speed=3"], "no parameter 'speed'"),
        (["--data", "clouds.npz", "--set", "cost=taxi"], "not a value of 'cost'"),
        (["--data", "clouds.npz", "--set", "kind=sphere", "--set", "batch=fast"], "not a value of 'batch'"),
    ],
)
def test_faults_of_the_user_end_with_a_sentence(
    arguments: list[str], words: str, clouds: Path, capsys, monkeypatch
) -> None:
    (clouds / "text.npy").write_text("hello")
    monkeypatch.chdir(clouds)
    assert main(["train", "monge", *arguments, "--out", "out"]) == 2
    assert words in capsys.readouterr().err


def test_a_map_of_another_dimension_is_named(clouds: Path, capsys) -> None:
    from mlcore.transport.maps.model import MapConfig, MongeMap

    MongeMap(MapConfig(3, width=4)).save(clouds / "model", {})
    arguments = ["evaluate", "monge", "--model", str(clouds / "model"), "--pairs", str(clouds / "pairs.npz")]
    assert main(arguments) == 2
    assert "2 coordinates and the map 3" in capsys.readouterr().err
