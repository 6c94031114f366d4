"""How the channels of a search in words become one ranking and one score between 0 and 1.

Three channels see every candidate:

* *meaning*: the model's score of text against molecule (first the sentence vectors' cosine, then, for the
  shortlist, the combined score of all grains);
* *description*: cosine of the query's wording with that of the molecule's own text: the mean of the text encoder's top
  layer, which still knows everyday English, where the sentence vector knows molecules only;
* *words*: BM25 as a share of what the query could earn (:mod:`mlcore.retrieval.lexical`), already 0..1.

The first two are brought to 0..1 by ``logistic((value - centre) / scale)``. The fused value is the weighted
mean over the channels that a molecule has (one without a text is not punished for it), and the score is the
probability ``logistic(a * fused + b)``. A weighted mean of bounded scores is used rather than reciprocal
ranks because ranks forget how good the best candidate is, and "probably not in this library" needs to know.
All constants come from the model's ``config.json`` (``"fusion"`` and ``"calibration"``), fitted on queries
whose answers are known and queries whose answers have been taken out of the library.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np


def logistic(values: np.ndarray | float) -> np.ndarray:
    """``1 / (1 + exp(-values))``, without overflow."""
    return 1.0 / (1.0 + np.exp(-np.clip(np.asarray(values, np.float64), -60.0, 60.0)))


def _known(cls: type, config: Mapping[str, Any]) -> dict[str, float]:
    names = {f.name for f in fields(cls)}
    return {key: float(value) for key, value in config.items() if key in names}


@dataclass(frozen=True)
class Fusion:
    """Weights of the channels, and where and how steeply each rises from 0 to 1."""

    meaning: float = 1.0
    description: float = 1.0
    words: float = 1.0
    sentence_centre: float = 0.35
    sentence_scale: float = 0.1
    total_centre: float = 10.0
    total_scale: float = 3.0
    description_centre: float = 0.45
    description_scale: float = 0.1

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The constants under ``"fusion"`` of a model's configuration; defaults for those that are not there."""
        return cls(**_known(cls, config.get("fusion") or {}))

    def sentence_level(self, cosines: np.ndarray) -> np.ndarray:
        """The first stage's meaning, 0..1."""
        return logistic((cosines - self.sentence_centre) / self.sentence_scale)

    def total_level(self, totals: np.ndarray) -> np.ndarray:
        """The re-ranked meaning, 0..1."""
        return logistic((totals - self.total_centre) / self.total_scale)

    def description_level(self, cosines: np.ndarray) -> np.ndarray:
        """The description channel, 0..1; 0 where there is no text (``-inf``)."""
        return logistic((cosines - self.description_centre) / self.description_scale)

    def fuse(
        self, meaning: np.ndarray, description: np.ndarray, words: np.ndarray, has_text: np.ndarray
    ) -> np.ndarray:
        """The weighted mean of the channels, (n,) 0..1; ``has_text`` (n,) bool says who has a text of its own."""
        text = self.description * description + self.words * words
        with_text = (self.meaning * meaning + text) / (self.meaning + self.description + self.words)
        without = np.maximum(
            meaning, (self.meaning * meaning + self.words * words) / (self.meaning + self.words)
        )
        return np.where(has_text, with_text, without)


@dataclass(frozen=True)
class Calibration:
    """From the fused value to a probability, and from the best hits' to whether the answer is here at all.

    With ``z`` the log odds of the hits, best first, and ``lead`` how far the best is above the mean of the sixth to the
    fifteenth, the answer is here with probability ``logistic(present + present_best * z[0] + present_lead * (lead -
    usual_lead))``.
    """

    a: float = 8.0
    b: float = -4.0
    text_a: float = 8.0  # the same for a molecule that has a text of its own
    text_b: float = -4.0
    present: float = 0.0
    present_best: float = 1.0
    present_lead: float = 0.0
    usual_lead: float = 1.0
    absent_below: float = 0.2
    found_above: float = 0.5

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The constants under ``"calibration"`` of a model's configuration; defaults for those that are not there."""
        return cls(**_known(cls, config.get("calibration") or {}))

    def probability(self, fused: np.ndarray, has_text: np.ndarray | bool = False) -> np.ndarray:
        """The probability that a molecule is what was described if that is here at all, (n,).

        ``has_text`` (n,) bool says who has a text of its own: with one, a middling value says more.
        """
        slope = np.where(has_text, self.text_a, self.a)
        return logistic(slope * np.asarray(fused) + np.where(has_text, self.text_b, self.b))

    def presence(self, probabilities: np.ndarray) -> float:
        """The probability that what was described is here, from the hits' own (n,), n at least 1."""
        best, lead = standing(probabilities)
        over = 0.0 if lead is None else lead - self.usual_lead
        return float(logistic(self.present + self.present_best * best + self.present_lead * over))


def standing(probabilities: np.ndarray) -> tuple[float, float | None]:
    """The best log odds and its lead over the mean of the sixth to fifteenth; no lead with fewer than six hits."""
    sure = np.clip(np.sort(np.asarray(probabilities, np.float64))[::-1][:15], 1e-9, 1 - 1e-9)
    odds = np.log(sure / (1 - sure))
    return float(odds[0]), float(odds[0] - odds[5:].mean()) if len(odds) > 5 else None


def regression(features: np.ndarray, right: np.ndarray, *, steps: int = 50) -> np.ndarray:
    """Weights (k + 1,), the constant last, of a logistic regression of ``right`` (n,) bool on ``features`` (n, k).

    Newton's method with a little shrinkage. Raises ``ValueError`` where all are right or none is.
    """
    x = np.column_stack([np.asarray(features, np.float64), np.ones(len(features))])
    y = np.asarray(right, np.float64)
    if len(set(y.tolist())) < 2:
        raise ValueError("a calibration needs queries with right and with wrong best answers")
    weights = np.zeros(x.shape[1])
    for _ in range(steps):
        p = logistic(x @ weights)
        gradient = x.T @ (p - y) + 1e-3 * weights
        curvature = (x * (p * (1 - p))[:, None]).T @ x + 1e-3 * np.eye(len(weights))
        step = np.linalg.solve(curvature, gradient)
        weights -= step
        if np.abs(step).max() < 1e-9:
            break
    return weights


def fit_calibration(fused: np.ndarray, right: np.ndarray) -> Calibration:
    """Fit ``a`` and ``b`` to the best fused value of each query (n,) and whether that molecule was right (n,) bool.

    ``absent_below`` is set so that at most one right answer in twenty falls below it.
    """
    a, b = (float(value) for value in regression(np.asarray(fused)[:, None], right))
    fitted = Calibration(a=a, b=b)
    absent = float(np.quantile(fitted.probability(np.asarray(fused)[np.asarray(right, bool)]), 0.05))
    return Calibration(a=a, b=b, absent_below=round(min(absent, fitted.found_above), 4))


def fit_presence(
    calibration: Calibration, inside: Sequence[np.ndarray], outside: Sequence[np.ndarray]
) -> Calibration:
    """``calibration`` with the constants of :meth:`Calibration.presence` and its two limits.

    ``inside`` and ``outside`` hold the hits' probabilities of queries whose answer is there and of queries whose answer
    is not. At most one answer in twenty that is there is called absent, and one in ten that is not is called found.
    """
    places = [standing(each) for each in (*inside, *outside)]
    leads = [lead for _, lead in places if lead is not None]
    usual = float(np.mean(leads)) if leads else 0.0
    features = np.array([(best, 0.0 if lead is None else lead - usual) for best, lead in places])
    best, lead, bias = (float(v) for v in regression(features, np.arange(len(places)) < len(inside)))
    fitted = replace(
        calibration, present=bias, present_best=max(best, 0.0), present_lead=max(lead, 0.0), usual_lead=usual
    )
    there = np.array([fitted.presence(each) for each in inside])
    gone = np.array([fitted.presence(each) for each in outside])
    absent = min(float(np.quantile(there, 0.05)), 0.5)  # where all are sure, an even chance is still none
    found = max(absent, float(np.quantile(gone, 0.9)))
    return replace(fitted, absent_below=round(absent, 4), found_above=round(found, 4))


def words_for(score: float) -> str:
    """A score in words."""
    if score >= 0.85:
        return "very likely"
    if score >= 0.6:
        return "likely"
    return "possible" if score >= 0.35 else "unlikely"
