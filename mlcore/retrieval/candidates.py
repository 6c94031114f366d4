"""What the ways of searching hand to the one that writes the answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mlcore.retrieval.shelf import Shelf


class Candidate(NamedTuple):
    """One row of one library on its way into the answer.

    ``shelf`` is the library's place in the order of preference; ``group`` orders hits before ``score`` does
    (an exact structure before a similar one); ``channels`` says what found it; ``has_text`` whether the row has a
    text of its own that a description was compared with.
    """

    shelf: int
    row: int
    score: float
    channels: tuple[str, ...]
    group: int = 0
    similarity: float | None = None
    how: str = ""
    parts: dict[str, float] | None = None
    also_in: tuple[str, ...] = ()
    has_text: bool = False


@dataclass(frozen=True)
class Ranking:
    """Candidates, best first; ``notes`` for the reader; ``missing`` says in words what was not found."""

    candidates: tuple[Candidate, ...] = ()
    notes: tuple[str, ...] = ()
    missing: str | None = None


def order(candidate: Candidate) -> tuple[int, float, int, int]:
    """Group, score, then library and row: the same query always gives the same order."""
    return (candidate.group, -round(candidate.score, 9), candidate.shelf, candidate.row)


def merged(candidates: Iterable[Candidate], shelves: Sequence[Shelf]) -> list[Candidate]:
    """``candidates`` best first, those that are the same molecule in several libraries made one.

    The row of the most preferred library stands for all, with the best score and all channels among them.
    """
    if len(shelves) == 1:  # the importer has already made one of equal rows
        return sorted(candidates, key=order)
    best: dict[str, Candidate] = {}
    for candidate in sorted(candidates, key=order):
        key = str(shelves[candidate.shelf].keys[candidate.row])
        if key.startswith("id:"):
            key = f"{candidate.shelf}:{candidate.row}"
        held = best.get(key)
        if held is None:
            best[key] = candidate
            continue
        if held.shelf == candidate.shelf and held.row != candidate.row:
            best[f"{key}:{candidate.shelf}:{candidate.row}"] = (
                candidate  # rows that a library itself keeps apart
            )
            continue
        best[key] = _joined(held, candidate, shelves)
    return sorted(best.values(), key=order)


def _joined(first: Candidate, second: Candidate, shelves: Sequence[Shelf]) -> Candidate:
    """One candidate for the same molecule in two libraries."""
    kept, other = (first, second) if first.shelf <= second.shelf else (second, first)
    names = (*first.also_in, *second.also_in, shelves[other.shelf].library.id)
    similarities = [value for value in (first.similarity, second.similarity) if value is not None]
    return kept._replace(
        score=max(first.score, second.score),
        group=min(first.group, second.group),
        channels=tuple(dict.fromkeys((*first.channels, *second.channels))),
        similarity=max(similarities, default=None),
        parts=kept.parts or other.parts,
        has_text=first.has_text or second.has_text,
        also_in=tuple(name for name in dict.fromkeys(names) if name != shelves[kept.shelf].library.id),
    )
