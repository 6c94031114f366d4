"""Counting verdicts and holding predictions against what came true, on cases counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mlcore.retrieval import reliability
from mlcore.retrieval.calibrate import Asked
from mlcore.retrieval.fusion import Calibration, Fusion
from mlcore.retrieval.presence import Presence


def test_verdicts_are_counted() -> None:
    found = reliability.count("lay", "there", ["found", "absent", "found", "doubtful"])
    assert (found.queries, found.found, found.doubtful, found.absent) == (4, 2, 1, 1)
    assert found.share("found") == 0.5
    assert np.isnan(reliability.count("none", "there", []).share("found"))


def test_bins_hold_every_prediction_once() -> None:
    found = reliability.bins(
        np.array([0.0, 0.1, 0.2, 0.75, 0.8, 1.0]), np.array([False, True, False, True, True, False])
    )
    assert [(each.low, each.high, each.count) for each in found] == [
        (0.0, 0.2, 2), (0.2, 0.4, 1), (0.6, 0.8, 1), (0.8, 1.0, 2),
    ]  # fmt: skip
    assert [each.predicted for each in found] == pytest.approx([0.05, 0.2, 0.75, 0.9])
    assert [each.true for each in found] == pytest.approx([0.5, 0.0, 1.0, 0.5])


def test_the_calibration_error_is_the_mean_distance() -> None:
    found = reliability.bins(np.array([0.1, 0.1, 0.9, 0.9]), np.array([False, False, True, False]))
    assert reliability.calibration_error(found) == pytest.approx((2 * 0.1 + 2 * 0.4) / 4)
    assert reliability.calibration_error([]) == 0


def test_honest_predictions_have_a_small_error_and_boasts_a_large_one() -> None:
    rng = np.random.default_rng(0)
    predicted = rng.random(20_000)
    true = rng.random(20_000) < predicted
    assert reliability.calibration_error(reliability.bins(predicted, true)) < 0.02
    assert reliability.calibration_error(reliability.bins(np.sqrt(predicted), true)) > 0.1


@pytest.mark.parametrize("bad", [-0.1, 1.1, float("nan")])
def test_what_is_no_probability_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        reliability.bins(np.array([0.5, bad]), np.array([True, True]))


def asked(best: float, right: int | None, count: int = 20) -> Asked:
    """A query whose first candidate has the fused value ``best`` and the others 0.1; ``right`` answers it."""
    said = np.full(count, 0.1)
    said[0] = best
    nothing = np.zeros(count)
    return Asked(
        nothing, np.full(count, -1e3), nothing, said, np.arange(count) == (-1 if right is None else right)
    )


def test_groups_are_judged_with_and_without_their_answers() -> None:
    fusion = Fusion(meaning=0.0, description=0.0, words=1.0)
    sure = Presence(bias=0.0, best=1.0, lead=0.0, absent_below=0.3, found_above=0.7)
    calibration = Calibration(text_a=10.0, text_b=-5.0, text_presence=sure)
    groups = {"lay": [asked(0.9, 0), asked(0.9, 0), asked(0.9, 5)], "absent": [asked(0.5, None)], "none": []}
    table, best, presence = reliability.judged(groups, fusion, calibration)
    assert [(each.group, each.answer, each.found, each.doubtful, each.absent) for each in table] == [
        ("lay", "there", 3, 0, 0), ("lay", "not there", 1, 0, 2), ("absent", "not there", 0, 1, 0),
    ]  # fmt: skip
    assert [(each.count, each.true) for each in best] == [(3, pytest.approx(2 / 3))]
    assert sum(each.count for each in presence) == 7
    assert presence[-1].true == pytest.approx(3 / 4)  # one of those called found had lost its answer
    shown = reliability.confusion_table(table)
    assert "| lay | not there | 3 | 0.333 | 0.000 | 0.667 |" in shown
    assert "| expected calibration error | 3 | |" in reliability.reliability_table("x", best)
    assert set(reliability.as_dict(table, best, presence)) == {"confusion", "best hit", "presence"}
