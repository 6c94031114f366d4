"""``python -m mlcore generate``: our folders and any other checkpoint, streamed or as one JSON object."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from mlcore.decoding.serving import cli_generate
from mlcore.runtime.errors import InputError, ModelError
from tests.decoding_models import tiny_model, tiny_pair


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return tiny_pair(tmp_path_factory.mktemp("models"))


def command(*words: str | Path) -> int:
    parser = argparse.ArgumentParser()
    cli_generate.add_arguments(parser)
    return cli_generate.run(parser.parse_args([str(word) for word in (*words, "--device", "cpu")]))


def answer(capsys: pytest.CaptureFixture[str], *words: str | Path) -> dict[str, Any]:
    assert command(*words, "--json") == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return found


def test_an_answer_as_json(pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    words = (
        "--model",
        pair[0],
        "--draft",
        pair[1],
        "--method",
        "spectr",
        "--set",
        "drafts=2",
        "--set",
        "max_tokens=9",
    )
    found = answer(capsys, *words, "An alcohol.", "--seed", "4")
    assert (found["method"], found["seed"], found["counts"]["emitted"]) == ("spectr", 4, 9)
    assert found["parameters"]["drafts"] == 2
    assert found["rates"]["block_efficiency"] == 9 / found["counts"]["target_calls"]
    assert found["comparison"]["speedup"] > 0
    assert found["models"]["draft"]["name"] == "lm-draft"
    assert answer(capsys, *words, "An alcohol.", "--seed", "4")["text"] == found["text"]


def test_an_answer_on_the_terminal_is_that_of_the_json(
    pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--model", pair[0], "--set", "max_tokens=9", "An alcohol.")
    text = answer(capsys, *words)["text"]
    assert command(*words) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"{text}\nended by length\ncounts: emitted 9, target_calls 9, target_tokens 9\n")
    assert "block efficiency = emitted / target_calls = 1\n" in shown
    assert "valid false" in shown


def test_any_checkpoint_continues_a_plain_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    from mlcore.decoding.language.tokenizer import train_tokenizer
    from tests.decoding_models import SMILES, TEXTS

    tokenizer = train_tokenizer(TEXTS, SMILES, 320)
    sizes = {
        "n_embd": 16,
        "n_layer": 1,
        "n_head": 2,
        "n_positions": 64,
        "bos_token_id": 300,
        "eos_token_id": 301,
    }
    GPT2LMHeadModel(GPT2Config(vocab_size=320, **sizes)).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    found = answer(capsys, "--model", tmp_path, "--task", "continue", "--set", "max_tokens=5", "Once upon")
    assert found["counts"]["emitted"] <= 5
    assert found["molecule"] is None


def test_a_reward_is_gone_for(pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    guided = (
        "--method",
        "best_of",
        "--set",
        "n=2",
        "--set",
        "max_tokens=4",
        "--reward",
        '{"name": "validity"}',
    )
    found = answer(capsys, "--model", pair[0], *guided, "An alcohol.")
    assert found["reward"] in (0, 1)
    assert found["counts"]["rewards"] in (1, 2)


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (["--method", "magic"], "lanes.0.method"),
        (["--method", "spectr"], "method"),
        (["--set", "heat=1"], "heat"),
        (["--set", "temperature"], "temperature"),
        (["--set", "temperature=hot"], "sampling.temperature"),
        (["--reward", "qed"], "reward"),
        (["--task", "poem"], "task"),
        (["--seed", "-1"], "seed"),
    ],
)
def test_a_wrong_word_is_named(pair: tuple[Path, Path], words: list[str], field: str) -> None:
    with pytest.raises(InputError) as fault:
        command("--model", pair[0], *words, "An alcohol.")
    assert fault.value.field == field
    assert fault.value.remedy


def test_models_that_cannot_be_used_are_named(pair: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nowhere"):
        command("--model", tmp_path / "nowhere", "An alcohol.")
    other = tiny_model(tmp_path / "other", texts=("Entirely different words make other merges.",) * 3)
    with pytest.raises(ModelError, match="another vocabulary"):
        command("--model", pair[0], "--draft", other, "--method", "spectr", "An alcohol.")


def test_the_prompt_may_come_through_a_pipe(
    pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO("An alcohol.\n"))
    found = answer(capsys, "--model", pair[0], "--set", "max_tokens=2", "-")
    assert found["prompt"]["text"] == "An alcohol.\n"
