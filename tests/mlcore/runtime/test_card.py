"""Cards: entries are added without touching others, data are named by hash, revisions by commit."""

from __future__ import annotations

import hashlib
import json
import subprocess
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pytest

from mlcore.runtime import card
from mlcore.runtime.errors import ModelError


@dataclass(frozen=True)
class Config:
    epochs: int = 3
    rate: float = 0.1


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", "-C", str(folder), *who, *words], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    (tmp_path / "code.py").write_text("x = 1\n")
    git(tmp_path, "add", "code.py")
    git(tmp_path, "commit", "-q", "-m", "first")
    return tmp_path


def test_the_revision_is_the_commit_and_says_when_files_differ(checkout: Path) -> None:
    commit = git(checkout, "rev-parse", "HEAD")
    assert card.revision(checkout) == commit
    (checkout / "notes.txt").write_text("untracked\n")
    assert card.revision(checkout) == commit
    (checkout / "code.py").write_text("x = 2\n")
    assert card.revision(checkout) == f"{commit}-dirty"


def test_a_package_inside_another_checkout_has_not_its_revision(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (checkout / "site-packages").mkdir()
    monkeypatch.setattr(card.importlib.metadata, "version", lambda name: "1.2.3")
    assert card.revision(checkout / "site-packages") == "ferry 1.2.3"

    def missing(name: str) -> str:
        raise card.importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(card.importlib.metadata, "version", missing)
    assert card.revision(checkout / "site-packages") == "unknown"


def test_data_are_named_without_the_place_of_the_machine(tmp_path: Path) -> None:
    path = tmp_path / "set" / "train.tsv.gz"
    path.parent.mkdir()
    path.write_bytes(b"a\tb\n" * 70_000)
    expected = hashlib.sha256(b"a\tb\n" * 70_000).hexdigest()
    assert card.data_file(path) == {"file": "set/train.tsv.gz", "sha256": expected}
    assert card.data_file(path, "queries")["use"] == "queries"
    assert card.short(card._HOME / "models" / "retrieval") == "models/retrieval"


def test_the_facts_of_a_training(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("x")
    presets = {"small": Config(epochs=1), "cpu": Config()}
    made = card.training(Config(), [tmp_path / "t.tsv"], seed=7, seconds=12.4, presets=presets)
    assert (made["preset"], made["seed"], made["seconds"], made["resumed"]) == ("cpu", 7, 12, False)
    assert made["config"] == asdict(Config())
    assert [each["sha256"] for each in made["data"]] == [hashlib.sha256(b"x").hexdigest()]
    other = card.training(replace(Config(), epochs=9), [], seed=0, seconds=0, presets=presets, resumed=True)
    assert other["preset"] is None
    assert other["resumed"] is True
    json.dumps(made)


def test_recording_leaves_the_other_keys_alone(tmp_path: Path) -> None:
    before = {"name": "β", "data": [1, {"b": 2}], "metrics": {"old": 1}, "sha256": "abc"}
    (tmp_path / "card.json").write_text(json.dumps(before))
    card.record(tmp_path, metrics={"new": 2}, training={"seed": 0})
    assert card.read(tmp_path) == before | {"metrics": {"new": 2}, "training": {"seed": 0}}
    assert [path.name for path in tmp_path.iterdir()] == ["card.json"]


def test_what_cannot_be_written_leaves_the_card_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "card.json").write_text('{"sha256": "abc"}')
    with pytest.raises(TypeError):
        card.record(tmp_path, metrics={"figure": object()})
    with pytest.raises(ValueError, match="with the weights"):
        card.record(tmp_path, sha256="other")
    assert card.read(tmp_path) == {"sha256": "abc"}


@pytest.mark.parametrize("content", [None, "{", "[1]"])
def test_a_card_that_cannot_be_read_is_named(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "card.json").write_text(content)
    with pytest.raises(ModelError, match=r"card of .* (cannot be read|no JSON object)"):
        card.record(tmp_path, metrics={})
