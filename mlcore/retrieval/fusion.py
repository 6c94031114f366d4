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

from collections.abc import Mapping
from dataclasses import dataclass, fields
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
    """From the fused value to a probability, and below which best probability the answer is "not in this library"."""

    a: float = 8.0
    b: float = -4.0
    absent_below: float = 0.2
    found_above: float = 0.5

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The constants under ``"calibration"`` of a model's configuration; defaults for those that are not there."""
        return cls(**_known(cls, config.get("calibration") or {}))

    def probability(self, fused: np.ndarray) -> np.ndarray:
        """The probability that a molecule is what was described, (n,)."""
        return logistic(self.a * np.asarray(fused) + self.b)


def fit_calibration(fused: np.ndarray, right: np.ndarray, *, steps: int = 50) -> Calibration:
    """Fit ``a`` and ``b`` to the best fused value of each query (n,) and whether that molecule was right (n,)
    bool.

    Logistic regression by Newton's method with a little shrinkage; ``absent_below`` is set so that at most
    one right answer in twenty falls below it.
    """
    x = np.stack([np.asarray(fused, np.float64), np.ones(len(fused))], axis=1)
    y = np.asarray(right, np.float64)
    if len(set(y.tolist())) < 2:
        raise ValueError("a calibration needs queries with right and with wrong best answers")
    weights = np.zeros(2)
    for _ in range(steps):
        p = logistic(x @ weights)
        gradient = x.T @ (p - y) + 1e-3 * weights
        curvature = (x * (p * (1 - p))[:, None]).T @ x + 1e-3 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        weights -= step
        if np.abs(step).max() < 1e-9:
            break
    a, b = (float(value) for value in weights)
    fitted = Calibration(a=a, b=b)
    absent = float(np.quantile(fitted.probability(np.asarray(fused)[y > 0]), 0.05))
    return Calibration(a=a, b=b, absent_below=round(min(absent, fitted.found_above), 4))


def words_for(score: float) -> str:
    """A score in words."""
    if score >= 0.85:
        return "very likely"
    if score >= 0.6:
        return "likely"
    return "possible" if score >= 0.35 else "unlikely"
