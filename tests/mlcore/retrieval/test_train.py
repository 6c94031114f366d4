"""Training on a made-up table: it learns, resumes to the same weights, and learns nothing from shuffled pairs."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mlcore.retrieval.batches import drop_sentences, neighbour_groups
from mlcore.retrieval.data import featurise_all, read_table, tuning_slice
from mlcore.retrieval.evaluate import Protocol, evaluate
from mlcore.retrieval.model import RetrievalModel, save_model
from mlcore.retrieval.presets import PRESETS, RetrievalTraining, without
from mlcore.retrieval.ranking import ranks
from mlcore.retrieval.train import Trainer, make_pairs, sentence_loss, train
from mlcore.runtime.errors import InputError
from mlcore.runtime.progress import NullProgress
from mlcore.runtime.training import changed, configured
from tests.mlcore.retrieval.made_up import write
from tests.mlcore.retrieval.networks import SMALL

TINY = RetrievalTraining(
    model=SMALL, pretrained=False, words=200, tuning_share=0.15, group=8, lookup_epochs=4, graph_epochs=2,
    lookup_batch=32, joint_epochs=2, joint_batch=32, extra_negatives=16, lookup_rate=3e-3, joint_rate=3e-3,
    transformer_rate=1e-3, bag_rate=1e-2, joint_bag_rate=1e-2, sentence_dropout=0.0, gram_dropout=0.0,
)  # fmt: skip


class StopAfter(NullProgress):
    """Asks for a stop after so many steps."""

    def __init__(self, steps: int) -> None:
        self._steps, self._done = steps, 0

    @property
    def stopping(self) -> bool:  # type: ignore[override]
        return self._done >= self._steps

    def update(self, done: int, total: int | None = None, **metrics: float) -> None:
        self._done = done


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("data") / "made_up.tsv")


@pytest.fixture(scope="module")
def trained(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("run")
    train(TINY, [table], out, NullProgress())
    return out


def test_it_learns(trained: Path) -> None:
    logged = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    measured = [line["mrr"] for line in logged if "mrr" in line]
    assert len(measured) == 6
    assert max(measured[-3:]) > 0.15  # chance is about 0.015 in this pool
    facts = json.loads((trained / "model" / "card.json").read_text())["training"]
    assert facts["config"]["joint_epochs"] == TINY.joint_epochs
    assert (facts["seed"], facts["resumed"], len(facts["data"])) == (TINY.seed, False, 1)


def test_evaluation_has_the_documented_form(trained: Path, table: Path) -> None:
    rows = read_table(table)
    found = evaluate(
        RetrievalModel.load(trained / "model"), rows[:40], rows, rows[40:60], Protocol(16), NullProgress()
    )
    for pool, sizes in {"full": (len(rows), 60), "split": (40, 40)}.items():
        for direction, size in zip(("text_to_molecule", "molecule_to_text"), sizes, strict=True):
            entry = found[pool][direction]
            assert {"hits@1", "hits@5", "hits@10", "hits@20", "mrr", "mean_rank", "median_rank"} <= set(entry)
            assert (entry["queries"], entry["pool"]) == (40, size)
            assert entry["hits@1"] <= entry["hits@10"] <= 1
            low, high = entry["reranking"]["hits@1"]["ci95"]
            assert low <= entry["reranking"]["hits@1"]["gain"] <= high
    with pytest.raises(InputError, match="not among the candidates"):
        evaluate(RetrievalModel.load(trained / "model"), rows[:2], rows[1:], [], Protocol(), NullProgress())


def test_stopping_and_resuming_gives_the_same_model(trained: Path, table: Path, tmp_path: Path) -> None:
    train(TINY, [table], tmp_path, StopAfter(30))
    assert not (tmp_path / "model").exists()
    train(TINY, [table], tmp_path, NullProgress(), resume=True)
    first, second = (RetrievalModel.load(folder / "model") for folder in (trained, tmp_path))
    one, two = (model.encode_texts(["a vinyl amine"]).sentence for model in (first, second))
    assert np.allclose(one, two, atol=1e-5)


def test_shuffled_pairs_teach_nothing(table: Path, tmp_path: Path) -> None:
    """The control: with molecules permuted among the texts, Hits@1 of both stages is chance within binomial error."""
    rows = read_table(table)
    config = replace(TINY, shuffle_pairs=True)
    molecules = featurise_all([row.smiles for row in rows])
    pairs, tuning = make_pairs(rows, molecules, config)
    trainer = Trainer(config, pairs, tuning, molecules, tmp_path)
    trainer.run(NullProgress())
    save_model(trainer.model, trainer.tokenizer.described, tmp_path / "model")
    model = RetrievalModel.load(tmp_path / "model")
    texts, drawn = (
        model.encode_texts(tuning.texts),
        model.encode_packed(molecules.packed.take(tuning.molecules)),
    )
    reranked = np.stack([model.rerank(texts, row, drawn).total for row in range(len(tuning))])
    chance = 1 / len(tuning)
    error = math.sqrt(chance * (1 - chance) / len(tuning))
    for scores in (texts.sentence @ drawn.vectors.T, reranked):
        found = ranks(scores, np.arange(len(tuning)))
        assert (found <= 1).mean() <= chance + 4 * error
        assert abs(found.mean() - (len(tuning) + 1) / 2) < 4 * len(tuning) / math.sqrt(12 * len(tuning)) + 1


def test_slice_shares_no_skeleton_with_the_rest(table: Path) -> None:
    rows = read_table(table)
    molecules = featurise_all([row.smiles for row in rows])
    pairs, tuning = make_pairs(rows, molecules, TINY)
    skeletons = [{key[:14] for key in molecules.keys[part.molecules]} for part in (pairs, tuning)]
    assert not skeletons[0] & skeletons[1]
    assert tuning_slice(molecules.keys, 0.0, 0).sum() == 0


def test_too_few_rows_are_refused(tmp_path: Path) -> None:
    (tmp_path / "few.tsv").write_text("id\tSMILES\tdescription\n1\tCCO\tAn alcohol.\n")
    with pytest.raises(InputError, match="Only 1 of 1"):
        train(TINY, [tmp_path / "few.tsv"], tmp_path / "out", NullProgress())


@pytest.mark.parametrize(
    ("content", "message"),
    [("id\tname\n1\tx\n", "no column 'SMILES'"), ("id\tSMILES\n1\t\n", "without SMILES"), ("", "no column")],
)
def test_broken_tables_are_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "t.tsv").write_text(content)
    with pytest.raises(InputError, match=message):
        read_table(tmp_path / "t.tsv")


def test_extra_molecules_are_negatives_of_the_texts_only() -> None:
    scores = torch.eye(3) * 5
    wide = torch.cat([scores, torch.full((3, 2), -50.0)], 1)
    same = torch.eye(3, 5, dtype=torch.bool)
    assert sentence_loss(wide, same).item() == pytest.approx(
        sentence_loss(scores, same[:, :3]).item(), abs=1e-5
    )
    hard = torch.cat([scores, torch.full((3, 2), 5.0)], 1)
    assert sentence_loss(hard, same) > sentence_loss(wide, same)


def test_groups_hold_neighbours_and_every_pair_once() -> None:
    centres = torch.nn.functional.normalize(
        torch.randn(10, 16, generator=torch.Generator().manual_seed(0)), dim=1
    )
    owner = torch.arange(10).repeat_interleave(8)
    vectors = torch.nn.functional.normalize(centres[owner] + 0.05 * torch.randn(80, 16), dim=1)
    order = neighbour_groups(vectors, vectors, 8, np.random.default_rng(0))
    assert sorted(order.tolist()) == list(range(80))
    assert all(len(set(owner[order[i : i + 8]].tolist())) == 1 for i in range(0, 80, 8))


def test_first_sentence_always_stays() -> None:
    rng = np.random.default_rng(0)
    assert drop_sentences("One. Two. Three.", 1.0, rng) == "One"
    assert drop_sentences("One. Two. Three.", 0.0, rng) == "One. Two. Three."


def test_parameters_from_the_command_line() -> None:
    assert changed(PRESETS["cpu"], "model.use_graph=false").model.use_graph is False
    assert changed(PRESETS["cpu"], "joint_epochs=7").joint_epochs == 7
    assert without(PRESETS["cpu"], "tokens", "motifs").model.use_tokens is False
    with pytest.raises(InputError, match="no parameter"):
        changed(PRESETS["cpu"], "epochs=3")
    with pytest.raises(InputError, match="not a value"):
        changed(PRESETS["cpu"], "seed=x")
    assert configured(PRESETS, "cpu", ["joint_epochs=7", "seed=2"]).seed == 2
    with pytest.raises(InputError, match="no preset 'huge'"):
        configured(PRESETS, "huge")
