"""The evaluation as a whole, and its command."""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mlcore.decoding.language import cli_evaluate
from mlcore.decoding.language.evaluate import Bootstrap, Predictions, evaluate, intervals, score
from mlcore.retrieval.data import Row
from mlcore.runtime import card
from mlcore.runtime.errors import InputError, ModelError
from mlcore.runtime.progress import NullProgress
from mlcore.runtime.weights import fingerprint, save_folder

PAIRS = [
    Row("1", "CCO", "The molecule is an alcohol of two carbons."),
    Row("2", "c1ccccc1O", "The molecule is a phenol."),
    Row("3", "CC(=O)O", "The molecule is an acid that derives from acetaldehyde."),
    Row("4", "CC(=O)OCC", "The molecule is the ester of acetic acid and éthanol."),
]
KEYS = {
    "text_to_smiles": ["validity", "exact", "bleu", "levenshtein", "maccs", "rdk", "morgan"],
    "smiles_to_text": ["bleu2", "bleu4", "rouge1", "rouge2", "rougeL", "meteor"],
}
ANSWERS = {
    "molecule": {
        PAIRS[0].description: "OCC", PAIRS[1].description: "c1ccccc1\tO", PAIRS[2].description: "",
        PAIRS[3].description: "CC(=O)OCC",
    },
    "description": {
        "CCO": "The molecule is an\nalcohol.", "c1ccccc1O": "", "CC(=O)O": "a\ud800b 日本", "CC(=O)OCC": "The ester.",
    },
}  # fmt: skip


def generate(task, given):
    return [ANSWERS[task][each] for each in given]


def read(path: Path) -> list[dict[str, str]]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def test_the_result_has_the_keys_of_the_contract():
    result, predictions = evaluate(generate, PAIRS, NullProgress(), model="hash", processes=1)
    assert {name: list(result[name]) for name in KEYS} == KEYS
    assert {name: list(result["ci95"][name]) for name in KEYS} == KEYS
    assert result["pairs"] == 4
    assert result["model"] == "hash"
    assert result["seconds"] >= result["generation_seconds"] >= 0
    assert "not identical" in result["tokenisation"]
    assert result["text_to_smiles"]["validity"] == 2 / 4
    assert result["text_to_smiles"]["exact"] == 2 / 4
    assert result["details"]["text_to_smiles"]["compared"] == 2
    assert predictions.molecules == ["OCC", "c1ccccc1 O", "", "CC(=O)OCC"]
    assert predictions.descriptions == ["The molecule is an alcohol.", "", "a?b 日本", "The ester."]
    json.dumps(result, allow_nan=False)
    for name, keys in KEYS.items():
        for key in keys:
            low, high = result["ci95"][name][key]
            assert low <= result[name][key] <= high, (name, key)


def test_empty_answers_score_nothing():
    nothing = Predictions([""] * 4, [""] * 4)
    result = score(PAIRS, nothing, NullProgress(), processes=1, bootstrap=Bootstrap(samples=20))
    assert result["text_to_smiles"].pop("levenshtein") == np.mean([len(row.smiles) for row in PAIRS])
    assert set(result["text_to_smiles"].values()) == set(result["smiles_to_text"].values()) == {0.0}
    json.dumps(result, allow_nan=False)


def test_answers_must_be_as_many_as_the_questions():
    with pytest.raises(ValueError, match="3 answers to 4 questions"):
        evaluate(lambda task, given: ["C"] * 3, PAIRS, NullProgress())


def test_pairs_are_checked_before_the_model_is_asked():
    def never(task, given):
        pytest.fail("the model was asked")

    with pytest.raises(InputError, match="no pairs"):
        evaluate(never, [], NullProgress())
    with pytest.raises(InputError, match="pair 7 has no description"):
        evaluate(never, [*PAIRS, Row("7", "C", " ")], NullProgress())


def test_the_interval_of_a_share_is_the_binomials():
    """400 pairs, half of them right: 0.5 ± 1.96 √(0.25 / 400), to the noise of 4,000 samples."""
    right = np.arange(400) % 2
    found = intervals(lambda w: {"share": w @ right / w.sum(1)}, 400, Bootstrap(samples=4000, seed=3))[
        "share"
    ]
    half = 1.96 * np.sqrt(0.25 / 400)
    assert found == pytest.approx([0.5 - half, 0.5 + half], abs=0.005)


def test_the_seed_decides_the_interval_and_every_sample_has_all_pairs():
    values = np.random.default_rng(0).normal(size=37)

    def figures(weights):
        assert (weights.sum(1) == 37).all()
        return {"mean": weights @ values / 37}

    first = intervals(figures, 37, Bootstrap(samples=130, seed=1))
    assert intervals(figures, 37, Bootstrap(samples=130, seed=1)) == first
    assert intervals(figures, 37, Bootstrap(samples=130, seed=2)) != first
    assert intervals(lambda w: {"n": np.ones(len(w))}, 1, Bootstrap(samples=7)) == {"n": [1.0, 1.0]}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model folder, a table of the pairs, and a decoder that answers from a list."""
    save_folder(tmp_path / "model", {"weight": torch.ones(2)}, {}, {"name": "small"})
    lines = ["CID\tSMILES\tdescription", *(f"{row.id}\t{row.smiles}\t{row.description}" for row in PAIRS)]
    (tmp_path / "pairs.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    asked: list[tuple] = []

    def answers(model, device, task, given, *, temperature, seed, progress):
        asked.append((model, device, task, len(given), temperature, seed))
        return generate(task, given)

    monkeypatch.setitem(
        sys.modules, "mlcore.decoding.language.batches", SimpleNamespace(answers=answers, asked=asked)
    )
    return tmp_path


def run(home: Path, *more: object) -> int:
    parser = argparse.ArgumentParser()
    cli_evaluate.add_arguments(parser)
    given = ["--model", home / "model", "--pairs", home / "pairs.tsv", "--device", "cpu", *more]
    return cli_evaluate.run(parser.parse_args([str(each) for each in given]))


def test_the_command_prints_writes_and_records(home, capsys):
    out = home / "answers.tsv.gz"
    assert run(home, "--json", "--predictions", out, "--card", home / "model", "--limit", 3, "--seed", 5) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {name: list(result[name]) for name in KEYS} == KEYS
    assert result["pairs"] == 3
    assert result["model"] == fingerprint(home / "model")
    assert sys.modules["mlcore.decoding.language.batches"].asked == [
        (home / "model", "cpu", "molecule", 3, 0.0, 5),
        (home / "model", "cpu", "description", 3, 0.0, 5),
    ]
    recorded = card.read(home / "model")
    assert recorded["name"] == "small"
    assert recorded["metrics"]["text_to_smiles"] == result["text_to_smiles"]
    assert "evaluate lm" in recorded["metrics"]["command"]
    assert "--limit 3" in recorded["metrics"]["command"]
    assert [file["use"] for file in recorded["metrics"]["data"]] == ["pairs"]
    rows = read(out)
    assert [row["id"] for row in rows] == ["1", "2", "3"] * 2
    assert [row["direction"] for row in rows] == ["text_to_smiles"] * 3 + ["smiles_to_text"] * 3
    assert [row["ground truth"] for row in rows[:3]] == [row.smiles for row in PAIRS[:3]]
    assert [row["ground truth"] for row in rows[3:]] == [row.description for row in PAIRS[:3]]
    again = Predictions([row["output"] for row in rows[:3]], [row["output"] for row in rows[3:]])
    rescored = score(PAIRS[:3], again, NullProgress(), processes=1, bootstrap=Bootstrap(seed=5))
    assert {name: rescored[name] for name in KEYS} == {name: result[name] for name in KEYS}
    assert rescored["ci95"] == result["ci95"]


def test_the_command_prints_a_table(home, capsys):
    assert run(home) == 0
    printed = capsys.readouterr().out
    assert all(f" {key} " in printed for keys in KEYS.values() for key in keys)
    assert "over the 2 valid pairs" in printed


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        (["--limit", "0"], "--limit is 0"),
        (["--temperature", "-1"], "--temperature is -1"),
        (["--temperature", "nan"], "--temperature is nan"),
        (["--seed", "-1"], "--seed is -1"),
        (["--predictions", "nowhere/at/all.tsv"], "no folder"),
    ],
)
def test_faults_are_told_before_the_model_works(home, more, fault):
    with pytest.raises(InputError, match=fault):
        run(home, *more)
    assert sys.modules["mlcore.decoding.language.batches"].asked == []


def test_a_card_of_other_weights_and_a_folder_without_weights_are_refused(home):
    save_folder(home / "other", {"weight": torch.zeros(2)}, {}, {})
    with pytest.raises(InputError, match="weights"):
        run(home, "--card", home / "other")
    (home / "model" / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"no model\*\.safetensors"):
        run(home)
