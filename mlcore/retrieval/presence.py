"""Whether what was asked for is in the library at all, from how the hits stand to each other.

With ``z`` the log odds of the hits, best first, and ``lead`` how far the best is above the mean of the sixth to the
fifteenth, the answer is here with probability ``logistic(bias + best * z[0] + lead * (lead - usual_lead))``. Hits that
have a text of their own stand otherwise than those without, hence two sets of constants.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from mlcore.retrieval.logistic import logistic, numbers_of, regression


@dataclass(frozen=True)
class Presence:
    """The constants for one kind of hit, and the limits of the two verdicts."""

    bias: float = 0.0
    best: float = 1.0
    lead: float = 0.0
    usual_lead: float = 1.0
    absent_below: float = 0.2
    found_above: float = 0.5

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The constants in ``config``; defaults for those that are not there."""
        return cls(**numbers_of(cls, config))

    def probability(self, probabilities: np.ndarray) -> float:
        """The probability that what was described is here, from the hits' own (n,), n at least 1."""
        best, lead = standing(probabilities)
        over = 0.0 if lead is None else lead - self.usual_lead
        return float(logistic(self.bias + self.best * best + self.lead * over))

    def verdict(self, probabilities: np.ndarray) -> str:
        """``"absent"``, ``"doubtful"`` or ``"found"``."""
        here = self.probability(probabilities)
        if here < self.absent_below:
            return "absent"
        return "doubtful" if here < self.found_above else "found"


def standing(probabilities: np.ndarray) -> tuple[float, float | None]:
    """The best log odds and its lead over the mean of the sixth to fifteenth; no lead with fewer than six hits."""
    sure = np.clip(np.sort(np.asarray(probabilities, np.float64))[::-1][:15], 1e-9, 1 - 1e-9)
    odds = np.log(sure / (1 - sure))
    return float(odds[0]), float(odds[0] - odds[5:].mean()) if len(odds) > 5 else None


def fit_presence(inside: Sequence[np.ndarray], outside: Sequence[np.ndarray]) -> Presence:
    """The constants from the hits' probabilities of queries whose answer is there (``inside``) and is not.

    At most one answer in twenty that is there is called absent, and one in ten that is not is called found.
    Raises ``ValueError`` where one of the two is empty.
    """
    places = [standing(each) for each in (*inside, *outside)]
    leads = [lead for _, lead in places if lead is not None]
    usual = float(np.mean(leads)) if leads else 0.0
    features = np.array([(best, 0.0 if lead is None else lead - usual) for best, lead in places])
    best, lead, bias = (float(v) for v in regression(features, np.arange(len(places)) < len(inside)))
    fitted = Presence(bias=bias, best=max(best, 0.0), lead=max(lead, 0.0), usual_lead=usual)
    there = np.array([fitted.probability(each) for each in inside])
    gone = np.array([fitted.probability(each) for each in outside])
    absent = min(float(np.quantile(there, 0.05)), 0.5)  # where all are sure, an even chance is still none
    found = max(absent, float(np.quantile(gone, 0.9)))
    return replace(fitted, absent_below=round(absent, 4), found_above=round(found, 4))
