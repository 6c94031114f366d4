"""Whether the answer is there: the formula on worked numbers, its invariances, and what fitting promises."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcore.retrieval.logistic import logistic
from mlcore.retrieval.presence import Presence, fit_presence, standing

PROBABILITIES = st.lists(st.floats(0.001, 0.999), min_size=1, max_size=40)


def odds(probability: float) -> float:
    return math.log(probability / (1 - probability))


def test_the_lead_is_over_the_sixth_to_the_fifteenth() -> None:
    falling = [0.9, 0.8, 0.7, 0.6, 0.5, *np.linspace(0.4, 0.2, 10), 0.19, 0.1]
    best, lead = standing(np.array(falling))
    assert best == pytest.approx(odds(0.9))
    assert lead == pytest.approx(odds(0.9) - np.mean([odds(each) for each in falling[5:15]]))


def test_few_hits_have_no_lead_and_only_the_best_counts() -> None:
    few = np.array([0.8, 0.3, 0.2, 0.1, 0.1])
    assert standing(few) == (pytest.approx(odds(0.8)), None)
    presence = Presence(bias=0.3, best=2.0, lead=5.0)
    assert presence.probability(few) == pytest.approx(float(logistic(0.3 + 2 * odds(0.8))))


def test_the_probability_is_the_formula() -> None:
    presence = Presence(bias=0.1, best=0.5, lead=0.7, usual_lead=2.0)
    hits = np.array([0.9, *[0.2] * 20])
    expected = 0.1 + 0.5 * odds(0.9) + 0.7 * (odds(0.9) - odds(0.2) - 2.0)
    assert presence.probability(hits) == pytest.approx(1 / (1 + math.exp(-expected)))


@settings(max_examples=60, deadline=None)
@given(PROBABILITIES, st.randoms())
def test_the_order_of_the_hits_does_not_matter(hits: list[float], random: object) -> None:
    presence = Presence(best=0.5, lead=0.7)
    turned = list(hits)
    random.shuffle(turned)  # type: ignore[attr-defined]
    assert presence.probability(np.array(turned)) == presence.probability(np.array(hits))


@settings(max_examples=60, deadline=None)
@given(PROBABILITIES, st.floats(0, 1))
def test_a_surer_best_hit_never_lowers_it(hits: list[float], part: float) -> None:
    presence = Presence(best=0.5, lead=0.7)
    surer = sorted(hits, reverse=True)
    surer[0] += part * (0.9999 - surer[0])
    assert presence.probability(np.array(surer)) >= presence.probability(np.array(hits)) - 1e-12


def test_certain_hits_give_finite_odds() -> None:
    assert all(math.isfinite(each) for each in standing(np.array([1.0, *[0.0] * 14])) if each is not None)


def test_the_two_limits_part_the_three_verdicts() -> None:
    presence = Presence(bias=0.0, best=1.0, lead=0.0, absent_below=0.2, found_above=0.5)
    said = [presence.verdict(np.array([each])) for each in (0.1, 0.199, 0.201, 0.499, 0.501, 0.99)]
    assert said == ["absent", "absent", "doubtful", "doubtful", "found", "found"]


def hits(rng: np.random.Generator, top: float) -> np.ndarray:
    """Hits around even odds, the best of them higher by ``top``."""
    values = rng.normal(0, 0.5, 15)
    values[0] = values.max() + abs(rng.normal(top, 1.0))
    return np.asarray(logistic(values))


def test_fitting_keeps_its_promises() -> None:
    """At most one in twenty of those that are there is called absent, one in ten of the others found."""
    rng = np.random.default_rng(0)
    inside, outside = [hits(rng, 2.5) for _ in range(400)], [hits(rng, 0.5) for _ in range(400)]
    fitted = fit_presence(inside, outside)
    said = {
        name: [fitted.verdict(each) for each in group]
        for name, group in (("in", inside), ("out", outside), ("new", [hits(rng, 2.5) for _ in range(400)]))
    }
    assert said["in"].count("absent") <= 0.05 * 400 + 1
    assert said["out"].count("found") <= 0.1 * 400 + 1
    assert said["out"].count("absent") >= 0.3 * 400
    assert said["new"].count("absent") <= 0.1 * 400
    assert fitted.best >= 0
    assert fitted.lead >= 0
    assert fitted.absent_below <= fitted.found_above


def test_fitting_needs_both_kinds() -> None:
    with pytest.raises(ValueError, match="right and with wrong"):
        fit_presence([np.array([0.5])], [])


def test_constants_survive_the_configuration() -> None:
    presence = Presence(bias=0.5, usual_lead=1.5)
    assert Presence.from_config({"bias": 0.5, "usual_lead": 1.5, "other": 3}) == presence
