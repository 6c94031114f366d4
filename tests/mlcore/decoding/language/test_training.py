"""The whole training of a pair: two folders that load, cards that say how, and nothing lost by a stop."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from mlcore.decoding.language import data, prompts, training
from mlcore.decoding.language import model as language_model
from mlcore.decoding.language.cli_train import add_arguments, run
from mlcore.decoding.language.holdout import held_out
from mlcore.decoding.language.molecule_keys import key_and_canonical
from mlcore.decoding.language.presets import PRESETS, Shape
from mlcore.decoding.networks import checkpoints
from mlcore.retrieval.data import tuning_slice
from mlcore.runtime import checkpoint
from mlcore.runtime.errors import InputError
from mlcore.runtime.progress import NullProgress
from tests.mlcore.decoding.molecule_texts import TINY, pairs, write

MEASURES = {
    f"{what}_{task}" for what in ("target", "draft", "overlap") for task in ("molecule", "description")
}


class Stopping(NullProgress):
    """Stops after so many steps."""

    def __init__(self, after: int) -> None:
        self.after, self.lines = after, []

    @property
    def stopping(self) -> bool:
        return self.after <= 0

    def update(self, done, total=None, **metrics):
        self.after -= 1
        self.total = total

    def log(self, text):
        self.lines.append(text)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A finished training: its folder, its table and its measures."""
    home = tmp_path_factory.mktemp("trained")
    table = write(home / "table.tsv")
    measured = training.train(TINY, [table], home / "out", NullProgress())
    return home / "out", table, measured


def carried(trained, tmp_path):
    """A folder that has been prepared and not trained."""
    out, table, _ = trained
    (tmp_path / "out").mkdir()
    shutil.copytree(out / "tokenizer", tmp_path / "out" / "tokenizer")
    shutil.copy(out / "corpus.npz", tmp_path / "out")
    return tmp_path / "out", table


def stored(folder):
    return {name: folder.joinpath(name).read_bytes() for name in ("model.safetensors", "config.json")}


def test_the_folder_is_complete(trained):
    out, _, measured = trained
    assert {path.name for path in out.iterdir()} == {
        "tokenizer", "corpus.npz", "metrics.jsonl", "target", "draft",
        "checkpoint-target", "checkpoint-draft", "checkpoint-distillation",
    }  # fmt: skip
    for name in ("target", "draft"):
        files = {path.name for path in (out / name).iterdir()}
        assert {
            "model.safetensors",
            "config.json",
            "card.json",
            "tokenizer.json",
            "tokenizer_config.json",
        } <= files
    assert set(measured) == MEASURES
    assert measured["target_molecule"] < np.log(TINY.vocabulary) - 1
    assert 0 < measured["overlap_description"] < 1


def test_both_load_and_answer_as_a_pair(trained):
    out, _, _ = trained
    target, draft = (checkpoints.load(out / name) for name in ("target", "draft"))
    checkpoints.check_pair(target, draft)
    assert checkpoints.pairing(target, draft) == ""
    assert draft.teacher == target.hash
    assert target.decoder.context == TINY.context
    assert target.tokenizer.model_max_length == TINY.context
    ids = prompts.prompt(target.tokenizer, "molecule", pairs()[3][1])
    logits = target.decoder.forward(torch.tensor([ids]), target.decoder.cache(1, 100))
    assert logits.shape == (1, len(ids), len(target.tokenizer))


def test_what_is_loaded_is_what_was_trained_up_to_int8(trained):
    out, _, _ = trained
    network, tokenizer = language_model.load(out / "target")
    before = language_model.build(TINY.target, tokenizer, TINY.context)
    checkpoint.load(out / "checkpoint-target", before, {})
    corpus = data.Corpus.load(out / "corpus.npz")
    given = data.batch(corpus, np.arange(30), int(tokenizer.pad_token_id), 0.0)
    with torch.no_grad():
        first, second = (
            language_model.logits_at(model, given.ids, given.weights > 0)
            for model in (before.eval(), network)
        )
    assert (first - second).square().mean().sqrt() < 0.02 * first.square().mean().sqrt()
    assert not torch.equal(first, second)


def test_the_cards_say_how_the_models_came_about(trained):
    out, table, measured = trained
    cards = {name: json.loads((out / name / "card.json").read_text()) for name in ("target", "draft")}
    for card in cards.values():
        facts = card["training"]
        assert facts["config"] == asdict(TINY)
        assert facts["preset"] is None
        assert facts["resumed"] is False
        assert [entry["file"].split("/")[-1] for entry in facts["data"]] == [table.name]
        assert card["held_out"] == measured
        assert card["operations_per_token"] < card["parameters"] + 1
    assert "target" not in cards["target"]
    assert cards["draft"]["target"] == cards["target"]["sha256"]
    assert cards["draft"]["operations_per_token"] < cards["target"]["operations_per_token"]
    network, _ = language_model.load(out / "target")
    assert cards["target"]["parameters"] == sum(weight.numel() for weight in network.parameters())


def test_the_curves_go_through_all_stages(trained):
    out, _, _ = trained
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    steps = [line["step"] for line in lines]
    assert steps == sorted(set(steps))
    named = [{key.split("_")[0] for key in line if "_" in key} for line in lines]
    assert [name for index, names in enumerate(named) for name in names if index == 0 or names != named[index - 1]] == [
        "target", "draft", "distillation",
    ]  # fmt: skip


def test_the_held_out_measures_are_those_of_the_held_out_pairs(trained):
    """Cross-entropy by hand over the rows that are marked, a row at a time."""
    out, _, _ = trained
    target, tokenizer = language_model.load(out / "target")
    draft, _ = language_model.load(out / "draft")
    corpus = data.Corpus.load(out / "corpus.npz")
    assert corpus.tuning.any()
    found = held_out(target, draft, corpus, int(tokenizer.pad_token_id), "cpu")
    sums = {"target": [], "draft": [], "overlap": []}
    for row in np.flatnonzero(corpus.tuning & (corpus.kind == data.MOLECULE)):
        ids = torch.tensor(corpus.tokens[corpus.starts[row] : corpus.starts[row + 1]].astype(np.int64)).view(
            1, -1
        )
        asked = int(corpus.prompt[row])
        with torch.no_grad():
            laws = [model(input_ids=ids).logits[0, asked - 1 : -1].softmax(-1) for model in (target, draft)]
        for name, law in zip(("target", "draft"), laws, strict=True):
            sums[name] += (-law.gather(1, ids[0, asked:, None]).log()).flatten().tolist()
        sums["overlap"] += laws[0].minimum(laws[1]).sum(-1).tolist()
    for name, values in sums.items():
        assert found[f"{name}_molecule"] == pytest.approx(np.mean(values), abs=1e-4)
    everything = replace(corpus, tuning=np.zeros_like(corpus.tuning))
    assert held_out(target, draft, everything, int(tokenizer.pad_token_id), "cpu") == {}


@pytest.mark.parametrize("stage", [0.2, pytest.param(0.6, marks=pytest.mark.slow), 0.9])
def test_stopped_in_any_stage_and_resumed_the_same_models_come_out(trained, tmp_path, stage):
    done, table, _ = trained
    out, _ = carried(trained, tmp_path)
    total = json.loads((done / "metrics.jsonl").read_text().splitlines()[-1])["step"]
    halt = Stopping(int(stage * total))
    assert training.train(TINY, [table], out, halt, resume=True) == {"stopped": True}
    assert halt.total == total
    assert not (out / "target").exists()
    measured = training.train(TINY, [table], out, NullProgress(), resume=True)
    assert set(measured) == MEASURES
    for name in ("target", "draft"):
        assert stored(out / name) == stored(done / name)
    assert json.loads((out / "draft" / "card.json").read_text())["training"]["resumed"] is True


def test_a_finished_training_is_not_done_again(trained, tmp_path):
    done, table, before = trained
    shutil.copytree(done, tmp_path / "out")
    never = Stopping(0)
    assert training.train(TINY, [table], tmp_path / "out", never, resume=True) == before
    assert (tmp_path / "out" / "metrics.jsonl").read_bytes() == (done / "metrics.jsonl").read_bytes()
    assert stored(tmp_path / "out" / "draft") == stored(done / "draft")


def test_a_resumed_training_reads_no_tables(trained, tmp_path, monkeypatch):
    """A machine without RDKit can train what another has prepared."""
    out, table = carried(trained, tmp_path)
    monkeypatch.setattr(data, "read", lambda *_, **__: pytest.fail("the tables were read"))
    tokenizer, corpus = training.material(TINY, [table], out, NullProgress(), resume=True)
    assert len(tokenizer) <= TINY.vocabulary
    assert corpus.lengths.max() <= TINY.context


def test_the_tokenizer_never_sees_what_is_held_out(tmp_path):
    """A bracket atom that only the held-out pairs have is no token."""
    rows = [(f"{'C' * n}N", f"The molecule is an amine with {n} carbons.") for n in range(1, 60)]
    config = replace(TINY, tuning_share=0.3)
    keys = [made[0] for smiles, _ in rows if (made := key_and_canonical(smiles))]
    marked = tuning_slice(np.array(keys), config.tuning_share, config.seed)
    held = [smiles for (smiles, _), out in zip(rows, marked, strict=True) if out]
    assert held
    table = write(
        tmp_path / "u.tsv",
        [(f"[NH2]{smiles[:-1]}" if smiles in held else smiles, text) for smiles, text in rows],
    )
    tokenizer, corpus = training.material(config, [table], tmp_path, NullProgress(), resume=False)
    assert corpus.tuning.sum() == 3 * len(held)
    assert "[NH2]" not in tokenizer.get_vocab()


def test_torchrun_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match=r"2 processes were started.*without torchrun"):
        training.train(TINY, [write(tmp_path / "t.tsv")], tmp_path / "out", NullProgress())
    assert not (tmp_path / "out").exists()


def test_heads_that_do_not_divide_the_width_are_told(trained, tmp_path):
    out, table = carried(trained, tmp_path)
    config = replace(TINY, target=Shape(width=48, layers=1, heads=5, inner=32))
    with pytest.raises(InputError, match="width of 48"):
        training.train(config, [table], out, NullProgress(), resume=True)


@pytest.mark.parametrize(("preset", "least", "most"), [("cpu", 5e6, 10e6), ("gpu", 20e6, 40e6)])
def test_presets_are_as_large_as_promised_and_the_draft_costs_a_tenth(preset, least, most):
    from types import SimpleNamespace

    config = PRESETS[preset]

    class Words(SimpleNamespace):
        def __len__(self):
            return config.vocabulary

    words = Words(bos_token_id=0, eos_token_id=1, pad_token_id=2)
    with torch.device("meta"):
        target, draft = (
            language_model.build(shape, words, config.context) for shape in (config.target, config.draft)
        )
    assert least <= sum(weight.numel() for weight in target.parameters()) <= most
    assert 10 * language_model.operations(draft) <= language_model.operations(target)


def test_the_command_line_trains(trained, tmp_path, capsys):
    import argparse

    out, table = carried(trained, tmp_path)
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    changes = [
        "vocabulary=360", "context=128", "target.width=16", "target.layers=1", "target.heads=1", "target.inner=16",
        "draft.width=16", "draft.layers=1", "draft.heads=1", "draft.inner=16", "epochs=0.3", "draft_epochs=0.1",
        "distillation_epochs=0.1",
    ]  # fmt: skip
    words = ["--data", str(table), "--out", str(out), "--preset", "small", "--resume", "--device", "cpu"]
    assert run(parser.parse_args([*words, *(word for change in changes for word in ("--set", change))])) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(said["held_out"]) == MEASURES
    assert json.loads((out / "training.json").read_text())["epochs"] == 0.3
    assert (out / "draft" / "card.json").exists()


def test_what_trains_needs_no_rdkit():
    """With ``tokenizer`` and ``corpus.npz`` carried there, any machine with torch will do."""
    program = "import sys; sys.modules['rdkit'] = None; import mlcore.decoding.language.training"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
