"""Fusing channels: a weighted mean with the invariances of one, and the calibration that follows it."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcore.retrieval.fusion import Calibration, Fusion, fit_calibration, words_for
from mlcore.retrieval.presence import Presence

UNIT = st.floats(0, 1)
WEIGHTS = st.tuples(*[st.floats(0.1, 20)] * 3)


def fused(fusion: Fusion, meaning: float, description: float, words: float, has_text: bool) -> float:
    parts = (np.array([meaning]), np.array([description]), np.array([words]), np.array([has_text]))
    return float(fusion.fuse(*parts)[0])


def weighed(weights: tuple[float, float, float]) -> Fusion:
    return Fusion(meaning=weights[0], description=weights[1], words=weights[2])


@settings(max_examples=80, deadline=None)
@given(WEIGHTS, UNIT, UNIT, UNIT)
def test_with_a_text_it_is_the_weighted_mean(
    weights: tuple[float, float, float], meaning: float, description: float, words: float
) -> None:
    expected = np.average([meaning, description, words], weights=weights)
    assert fused(weighed(weights), meaning, description, words, True) == pytest.approx(expected)


@settings(max_examples=80, deadline=None)
@given(WEIGHTS, UNIT, UNIT)
def test_without_a_text_nothing_is_lost_by_having_no_words(
    weights: tuple[float, float, float], meaning: float, words: float
) -> None:
    found = fused(weighed(weights), meaning, 0.0, words, False)
    pair = float(np.average([meaning, words], weights=[weights[0], weights[2]]))
    assert found == pytest.approx(max(meaning, pair))
    assert found == fused(weighed(weights), meaning, 1.0, words, False)  # no description takes part


@settings(max_examples=60, deadline=None)
@given(WEIGHTS, UNIT, UNIT, UNIT, st.booleans(), st.floats(0.1, 10))
def test_only_the_ratio_of_the_weights_counts(
    weights: tuple[float, float, float],
    meaning: float,
    description: float,
    words: float,
    text: bool,
    factor: float,
) -> None:
    scaled = (factor * weights[0], factor * weights[1], factor * weights[2])
    assert fused(weighed(scaled), meaning, description, words, text) == pytest.approx(
        fused(weighed(weights), meaning, description, words, text)
    )


@settings(max_examples=60, deadline=None)
@given(WEIGHTS, UNIT, UNIT, UNIT, st.booleans(), st.integers(0, 2), UNIT)
def test_more_in_a_channel_is_never_less(
    weights: tuple[float, float, float], meaning: float, description: float, words: float, text: bool, which: int,
    part: float,
) -> None:  # fmt: skip
    values = [meaning, description, words]
    more = list(values)
    more[which] += part * (1 - more[which])
    low, high = (fused(weighed(weights), a, b, c, text) for a, b, c in (values, more))
    assert 0 <= low <= high + 1e-12
    assert high <= 1 + 1e-12


def test_candidates_do_not_see_each_other() -> None:
    rng = np.random.default_rng(0)
    parts = [*(rng.random(9) for _ in range(3)), rng.random(9) < 0.5]
    order = rng.permutation(9)
    together = Fusion().fuse(*parts)
    assert np.array_equal(Fusion().fuse(*(part[order] for part in parts)), together[order])
    assert np.allclose([fused(Fusion(), *each) for each in zip(*parts, strict=True)], together)


def test_levels_rise_through_one_half_at_their_centres() -> None:
    fusion = Fusion(
        sentence_centre=0.4, sentence_scale=0.1, total_centre=7.0, total_scale=2.0, description_centre=0.6
    )
    for level, centre, scale in (
        (fusion.sentence_level, 0.4, 0.1),
        (fusion.total_level, 7.0, 2.0),
        (fusion.description_level, 0.6, fusion.description_scale),
    ):
        found = level(np.array([centre - scale, centre, centre + scale]))
        assert found == pytest.approx([1 / (1 + np.e), 0.5, np.e / (1 + np.e)])
    assert fusion.description_level(np.array([-np.inf]))[0] < 1e-20


def test_each_kind_of_molecule_has_its_own_calibration() -> None:
    calibration = Calibration(a=2.0, b=-1.0, text_a=4.0, text_b=-3.0)
    values = np.array([0.25, 0.75])
    plain, texts = calibration.probability(values), calibration.probability(values, np.array([True, True]))
    assert plain == pytest.approx(1 / (1 + np.exp(-(2 * values - 1))))
    assert texts == pytest.approx(1 / (1 + np.exp(-(4 * values - 3))))
    mixed = calibration.probability(values, np.array([True, False]))
    assert mixed == pytest.approx([texts[0], plain[1]])


def test_the_kind_of_the_best_hit_decides_who_gives_the_verdict() -> None:
    calibration = Calibration(
        presence=Presence(absent_below=1.1), text_presence=Presence(absent_below=-1, found_above=0)
    )
    probabilities = np.array([0.2, 0.9, 0.3])
    assert calibration.verdict(probabilities, np.array([False, True, False])) == "found"
    assert calibration.verdict(probabilities, np.array([True, False, True])) == "absent"


def test_a_calibration_is_found_again_from_what_it_says() -> None:
    rng = np.random.default_rng(3)
    values = rng.random(40_000)
    right = rng.random(40_000) < Calibration(a=6.0, b=-2.5).probability(values)
    assert fit_calibration(values, right) == pytest.approx((6.0, -2.5), abs=0.15)


def test_constants_survive_the_configuration() -> None:
    fusion = Fusion(words=3.5, total_centre=9.0)
    calibration = replace(Calibration(text_b=-2.0), text_presence=Presence(lead=0.7))
    config = {"fusion": asdict(fusion), "calibration": asdict(calibration), "dim": 32}
    assert Fusion.from_config(config) == fusion
    assert Calibration.from_config(config) == calibration
    assert Fusion.from_config({}) == Fusion()
    assert Calibration.from_config({}) == Calibration()


@pytest.mark.parametrize(
    ("score", "words"),
    [(0.85, "very likely"), (0.8499, "likely"), (0.6, "likely"), (0.5999, "possible"), (0.35, "possible"),
     (0.3499, "unlikely")],
)  # fmt: skip
def test_scores_in_words_change_at_their_limits(score: float, words: str) -> None:
    assert words_for(score) == words
