"""Fitting fusion and calibration on made-up channels, and the constants' way through a model's config.json."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mlcore.retrieval import calibrate
from mlcore.retrieval.calibrate import Asked
from mlcore.retrieval.data import tuning_slice
from mlcore.retrieval.fusion import Calibration, Fusion
from mlcore.retrieval.logistic import regression
from mlcore.retrieval.model import RetrievalModel
from mlcore.retrieval.presence import Presence
from mlcore.runtime.errors import InputError
from tests.mlcore.retrieval import shipped
from tests.mlcore.retrieval.networks import save_small

ROWS = 40


def queries(count: int, seed: int, *, meaning: float, words: float, texts: bool = True) -> list[Asked]:
    """Queries in whose first row, the right one, the two channels are higher than elsewhere by so many spreads."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        total, said = rng.normal(10, 2, ROWS), np.clip(rng.normal(0.2, 0.05, ROWS), 0, 1)
        total[0] += 2 * meaning
        said[0] = np.clip(said[0] + 0.05 * words, 0, 1)
        described = rng.normal(0.5, 0.1, ROWS) if texts else np.full(ROWS, -np.inf)
        made.append(Asked(total / 30, total, described, said if texts else 0 * said, np.arange(ROWS) == 0))
    return made


def success(asked: list[Asked], fusion: Fusion) -> float:
    return float(np.mean([query.reciprocal_rank(fusion) >= 1 for query in asked]))


def test_the_channel_that_knows_the_answer_gets_the_weight() -> None:
    chemical = queries(60, 0, meaning=3, words=0, texts=False)
    lay = queries(60, 1, meaning=0, words=5)
    fusion, _ = calibrate.fit(chemical, [], lay, [], Fusion())
    assert success(lay, fusion) > success(lay, replace(fusion, words=0.5, description=4.0)) + 0.2
    assert fusion.words > fusion.description


def test_what_is_not_there_is_called_absent_more_often_than_what_is() -> None:
    chemical = queries(60, 0, meaning=3, words=0, texts=False)
    lay = queries(80, 1, meaning=0, words=6)
    fusion, calibration = calibrate.fit(chemical, [], lay, [], Fusion())
    told = calibrate.describe(fusion, calibration, {"lay": queries(80, 2, meaning=0, words=6)})["lay"]
    assert told["called absent, answer there"] <= 0.12
    assert told["called absent, answer not there"] >= 0.5
    assert told["called found, answer not there"] <= 0.25


def test_molecules_without_texts_have_a_verdict_of_their_own() -> None:
    chemical = queries(120, 0, meaning=3, words=0, texts=False)
    fusion, calibration = calibrate.fit(chemical, [], queries(80, 1, meaning=0, words=6), [], Fusion())
    fresh = queries(120, 5, meaning=3, words=0, texts=False)
    told = calibrate.describe(fusion, calibration, {"chemical": fresh})["chemical"]
    assert told["called absent, answer there"] <= 0.12
    assert calibration.presence != calibration.text_presence
    here, gone = np.array([0.9, *[0.05] * 14]), np.array([0.06, *[0.05] * 14])
    sure = Calibration(presence=Presence(absent_below=0.99), text_presence=Presence(absent_below=0.01))
    with_text = np.arange(15) == 0
    assert sure.verdict(here, with_text) == "found"
    assert sure.verdict(here, ~with_text) == "absent"
    assert sure.verdict(gone, with_text) == "doubtful"


def test_an_identical_text_is_on_top_whatever_the_other_channels_say() -> None:
    query = queries(1, 3, meaning=0, words=0)[0]
    described = query.description.copy()
    described[0] = 0.999
    total = query.total.copy()
    total[1] = 100.0
    same = Asked(query.sentence, total, described, query.words, query.right)
    assert same.reciprocal_rank(Fusion(description=0.01)) == 1.0


def test_regression_finds_the_weights_that_made_the_data() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20_000, 2))
    right = rng.random(20_000) < 1 / (1 + np.exp(-(2 * x[:, 0] - x[:, 1] + 0.5)))
    assert np.allclose(regression(x, right), [2, -1, 0.5], atol=0.1)
    with pytest.raises(ValueError, match="right and with wrong"):
        regression(x, np.ones(len(x), bool))


def test_constants_are_kept_in_the_model_folder(tmp_path: Path) -> None:
    before = save_small(tmp_path / "model")
    fusion, calibration = (
        Fusion(words=3.5),
        Calibration(text_b=-3.0, text_presence=Presence(lead=0.7, absent_below=0.11)),
    )
    calibrate.write(tmp_path / "model", fusion, calibration)
    after = RetrievalModel.load(tmp_path / "model")
    assert after.fingerprint == before.fingerprint
    assert Fusion.from_config(after.config) == fusion
    assert Calibration.from_config(after.config) == calibration
    assert json.loads((tmp_path / "model" / "config.json").read_text())["dim"] == before.dim


def test_only_the_slice_that_training_held_out_is_used() -> None:
    keys = np.array([f"{'ABCDEFGHIJKLM'}{chr(65 + i % 26)}{i:04d}-X-N" for i in range(500)])
    rows = [calibrate.Row(str(i), "C", "" if i % 2 else "A text.") for i in range(500)]
    chosen = calibrate.held_out(rows, keys)
    marks = tuning_slice(keys, 0.03, 0)
    assert all(marks[i] and rows[i].description for i in chosen)
    assert len(chosen) == sum(marks[i] for i in range(0, 500, 2))


def test_a_table_without_queries_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("text\tname\nx\ty\n")
    with pytest.raises(InputError, match="no column 'query'"):
        calibrate.read_lay(tmp_path / "a.tsv")


def test_the_tuning_queries_are_about_other_molecules_than_the_frozen_ones() -> None:
    tuning = calibrate.read_lay(shipped.ROOT / "mlcore" / "retrieval" / "tuning" / "lay_queries.tsv")
    frozen = calibrate.read_lay(shipped.ROOT / "tests" / "data" / "lay_queries.tsv")
    names = {row["name"] for row in shipped.molecules()}
    answers = {name for _, accepted in tuning for name in accepted}
    assert not answers - names
    assert not answers & {name for _, accepted in frozen for name in accepted}


def test_the_tuning_queries_share_few_words_with_the_frozen_ones() -> None:
    folder = shipped.ROOT / "mlcore" / "retrieval" / "tuning"
    ours = [
        words(text)
        for name in ("lay_queries.tsv", "absent_queries.tsv")
        for text, _ in calibrate.read_lay(folder / name)
    ]
    frozen = [
        words(text) for text, _ in calibrate.read_lay(shipped.ROOT / "tests" / "data" / "lay_queries.tsv")
    ]
    largest = max(len(a & b) / len(a | b) for a in ours for b in frozen)
    assert largest < 0.45


def words(text: str) -> set[str]:
    """The words of a query that say something, cut to five letters: the Jaccard overlap of two queries is theirs."""
    little = {
        "the",
        "that",
        "what",
        "which",
        "from",
        "for",
        "and",
        "with",
        "you",
        "your",
        "are",
        "its",
        "main",
    }
    return {word[:5] for word in re.findall(r"[a-z0-9]{3,}", text.casefold())} - little
