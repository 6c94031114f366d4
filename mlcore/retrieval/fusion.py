"""How the channels of a search in words become one ranking and one score between 0 and 1.

Three channels see every candidate:

* *meaning*: the model's score of text against molecule (first the sentence vectors' cosine, then, for the
  shortlist, the combined score of all grains);
* *description*: cosine of the query's wording with that of the molecule's own text: the mean of the text encoder's top
  layer, which still knows everyday English, where the sentence vector knows molecules only;
* *words*: BM25 as a share of what the query could earn (:mod:`mlcore.retrieval.lexical`), already 0..1.

The first two are brought to 0..1 by ``logistic((value - centre) / scale)``. The fused value is the weighted
mean over the channels that a molecule has (one without a text is not punished for it). The score is the
probability that the molecule is the one meant, given that this one is there at all: ``logistic(text_a * fused +
text_b)`` for a molecule that has a text of its own, ``logistic(a * fused + b)`` for one that has none. A weighted
mean of bounded scores is used rather than reciprocal ranks because ranks forget how good the best candidate is, and
"probably not in this library" needs to know.

All constants come from the model's ``config.json`` (``"fusion"`` and ``"calibration"``) and are fitted by
:mod:`mlcore.retrieval.calibrate`: the two calibrations on queries whose answer is there, whether it is there at all
(:mod:`mlcore.retrieval.presence`) on the same queries with and without their answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from mlcore.retrieval.logistic import logistic, numbers_of, regression
from mlcore.retrieval.presence import Presence


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
        return cls(**numbers_of(cls, config.get("fusion") or {}))

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
    """From the fused value to a probability, and from the hits' probabilities to whether the answer is here."""

    a: float = 8.0
    b: float = -4.0
    text_a: float = 8.0  # the same for a molecule that has a text of its own
    text_b: float = -4.0
    presence: Presence = field(default_factory=Presence)  # where the best hit has no text of its own
    text_presence: Presence = field(default_factory=Presence)  # where it has one

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The constants under ``"calibration"`` of a model's configuration; defaults for those that are not there."""
        given = config.get("calibration") or {}
        kinds: dict[str, Any] = {
            name: Presence.from_config(given.get(name) or {}) for name in ("presence", "text_presence")
        }
        return cls(**kinds, **numbers_of(cls, given))

    def probability(self, fused: np.ndarray, has_text: np.ndarray | bool = False) -> np.ndarray:
        """The probability that a molecule is what was described if that is here at all, (n,).

        ``has_text`` (n,) bool says who has a text of its own: with one, a middling value says more.
        """
        slope = np.where(has_text, self.text_a, self.a)
        return logistic(slope * np.asarray(fused) + np.where(has_text, self.text_b, self.b))

    def verdict(self, probabilities: np.ndarray, has_text: np.ndarray) -> str:
        """``"absent"``, ``"doubtful"`` or ``"found"``: whether what was described is among the hits, both (n,)."""
        best = bool(np.asarray(has_text)[np.argmax(probabilities)])
        return (self.text_presence if best else self.presence).verdict(probabilities)


def fit_calibration(fused: np.ndarray, right: np.ndarray) -> tuple[float, float]:
    """``a`` and ``b`` from the best fused value of each query (n,) and whether that molecule was right (n,) bool."""
    a, b = regression(np.asarray(fused)[:, None], right)
    return float(a), float(b)


def words_for(score: float) -> str:
    """A score in words."""
    if score >= 0.85:
        return "very likely"
    if score >= 0.6:
        return "likely"
    return "possible" if score >= 0.35 else "unlikely"
