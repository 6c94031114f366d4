"""Whether a search's own judgement can be believed: the confusion of its verdicts and the reliability of its scores.

Both are counted on queries with known answers (:class:`~mlcore.retrieval.calibrate.Asked`), with the answers in the
pool and taken out of it, and printed as tables that can be pasted into ``docs/measurements.md``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from mlcore.retrieval.calibrate import Asked
    from mlcore.retrieval.fusion import Calibration, Fusion

LEVELS = ("found", "doubtful", "absent")
#: the ends of the bins of a reliability table
_EDGES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


@dataclass(frozen=True)
class Confusion:
    """How often each verdict was given on queries whose answer is all there, or not there at all."""

    group: str
    answer: str  # "there" or "not there"
    queries: int
    found: int
    doubtful: int
    absent: int

    def share(self, level: str) -> float:
        """The share of the queries with that verdict; nan without queries."""
        return getattr(self, level) / self.queries if self.queries else float("nan")


@dataclass(frozen=True)
class Bin:
    """The predictions of at least ``low`` and below ``high`` (1 belongs to the last): mean, and how many came true."""

    low: float
    high: float
    count: int
    predicted: float
    true: float


def count(group: str, answer: str, said: Sequence[str]) -> Confusion:
    """The confusion of a list of verdicts."""
    return Confusion(group, answer, len(said), *(sum(level == each for each in said) for level in LEVELS))


def bins(predicted: np.ndarray, true: np.ndarray) -> list[Bin]:
    """Predictions (n,) in 0..1 and what came true (n,) bool in bins of equal width; empty bins are left out.

    Raises ``ValueError`` for a prediction outside 0..1.
    """
    predicted, true = np.asarray(predicted, np.float64), np.asarray(true, bool)
    if len(predicted) and not (predicted.min() >= 0 and predicted.max() <= 1):
        raise ValueError("a probability lies between 0 and 1")
    owner = np.minimum(np.searchsorted(_EDGES, predicted, "right") - 1, len(_EDGES) - 2)
    found = []
    for place in np.unique(owner):
        mine = owner == place
        found.append(
            Bin(
                _EDGES[place], _EDGES[place + 1], int(mine.sum()),
                float(predicted[mine].mean()), float(true[mine].mean()),
            )
        )  # fmt: skip
    return found


def calibration_error(found: Sequence[Bin]) -> float:
    """The expected calibration error: ``sum |true - predicted| * share`` over the bins (Guo et al. 2017, eq. 3)."""
    total = sum(each.count for each in found)
    return sum(each.count * abs(each.true - each.predicted) for each in found) / total if total else 0.0


def judged(
    groups: Mapping[str, Sequence[Asked]], fusion: Fusion, calibration: Calibration
) -> tuple[list[Confusion], list[Bin], list[Bin]]:
    """The confusion of every group, the reliability of the best hit's score, and that of the answer's being there.

    The score of the best hit promises to be right if the answer is there: it is held against the queries whose answer
    is there. Presence is held against all of them, with and without their answers.
    """
    table: list[Confusion] = []
    best: list[float] = []
    right: list[bool] = []
    present: list[float] = []
    there: list[bool] = []
    for name, group in groups.items():
        kept = [query for query in group if query.right.any() and not query.right.all()]
        gone = [query.without_answer() for query in kept] if kept else list(group)
        for answer, queries in (("there", kept), ("not there", gone)):
            if queries:
                said = [query.verdict(fusion, calibration) for query in queries]
                table.append(count(name, answer, said))
            there += [answer == "there"] * len(queries)
            present += [query.presence(fusion, calibration) for query in queries]
        for query in kept:
            scores = query.probability(fusion, calibration)
            best.append(float(scores.max()))
            right.append(bool(query.right[scores.argmax()]))
    return table, bins(np.array(best), np.array(right)), bins(np.array(present), np.array(there))


def as_dict(
    table: Sequence[Confusion], best: Sequence[Bin], presence: Sequence[Bin]
) -> dict[str, list[dict[str, Any]]]:
    """The tables for JSON."""
    return {
        "confusion": [asdict(each) for each in table],
        "best hit": [asdict(each) for each in best],
        "presence": [asdict(each) for each in presence],
    }


def confusion_table(table: Sequence[Confusion]) -> str:
    """The confusion in Markdown, shares of the queries."""
    lines = ["| queries | answer | n | found | doubtful | absent |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {each.group} | {each.answer} | {each.queries} | "
        + " | ".join(f"{each.share(level):.3f}" for level in LEVELS)
        + " |"
        for each in table
    ]
    return "\n".join(lines)


def reliability_table(title: str, found: Sequence[Bin]) -> str:
    """A reliability table in Markdown; its last line is the expected calibration error."""
    lines = [f"| {title} | n | mean prediction | came true |", "|---|---|---|---|"]
    lines += [
        f"| {each.low:.1f} to {each.high:.1f} | {each.count} | {each.predicted:.3f} | {each.true:.3f} |"
        for each in found
    ]
    total = sum(each.count for each in found)
    return "\n".join([*lines, f"| expected calibration error | {total} | | {calibration_error(found):.3f} |"])
