"""A list of names, structures or keys at once: which molecule each one is, and whether that is certain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlcore.retrieval.allowed import Allowed
from mlcore.retrieval.answer import molecule_json
from mlcore.retrieval.candidates import Candidate, Ranking, merged
from mlcore.retrieval.query import Query
from mlcore.retrieval.search import Searcher
from mlcore.retrieval.shelf import Shelf
from mlcore.retrieval.structural import by_name, look_up
from mlcore.runtime.errors import InputError, LimitError

#: items of one look-up
MOST_ITEMS = 10_000
#: matches shown of an ambiguous item
_SHOWN = 10
#: a Tanimoto similarity that nothing reaches
_NOTHING_SIMILAR = 1.1


@dataclass(frozen=True)
class _Outcome:
    status: str  # found, ambiguous, not found, unreadable
    kind: str
    candidates: tuple[Candidate, ...] = ()
    note: str = ""


def lookup(items: Sequence[str], searcher: Searcher, *, libraries: Sequence[str] = ()) -> dict[str, Any]:
    """What each of ``items`` is in ``libraries``: a name, SMILES, InChI, InChIKey, formula, CAS number or id.

    ``{"items": [{"index", "text", "status", "kind", "note", "matches": [{"library", "molecule", "how"}]}],
    "counts"}`` in the order given; ``status`` is ``found`` (one molecule), ``ambiguous`` (several, or found
    only after a correction or by another stereo form), ``not found`` or ``unreadable``; the counts add up to
    the number of items. No model is used. Raises :class:`InputError` for an empty list, :class:`LimitError`
    above :data:`MOST_ITEMS`.
    """
    if not items:
        raise InputError("The list is empty.", field="items", remedy="Give one name or structure a line.")
    if len(items) > MOST_ITEMS:
        raise LimitError(
            f"The list has {len(items):,} items; {MOST_ITEMS:,} is the limit.",
            field="items",
            remedy="Look it up in parts.",
        )
    shelves = searcher.chosen(libraries)
    answered = []
    counts = dict.fromkeys(("found", "ambiguous", "not found", "unreadable"), 0)
    for index, text in enumerate(items):
        outcome = _one(text, searcher, shelves, libraries)
        counts[outcome.status] += 1
        answered.append(
            {
                "index": index,
                "text": text,
                "status": outcome.status,
                "kind": outcome.kind,
                "note": outcome.note,
                "total": len(outcome.candidates),
                "matches": _matches(outcome.candidates[:_SHOWN], shelves),
            }
        )
    return {"items": answered, "counts": {"items": len(items), **counts}}


def _one(text: str, searcher: Searcher, shelves: Sequence[Shelf], libraries: Sequence[str]) -> _Outcome:
    try:
        query = searcher.understand(text, libraries=libraries)
    except InputError as fault:
        return _Outcome("unreadable", "", note=str(fault))
    ranking = _ranked(query, shelves)
    exact = [c for c in ranking.candidates if c.how in ("exact", "spelling") or query.kind == "formula"]
    found = tuple(merged(exact, shelves))
    if len(found) == 1:
        return _Outcome("found", query.kind, found)
    if found:
        return _Outcome("ambiguous", query.kind, found, f"{len(found)} molecules fit.")
    close = tuple(merged([c for c in ranking.candidates if c.how not in ("similar", "begins")], shelves))
    if close:
        return _Outcome("ambiguous", query.kind, close, _doubt(query, close[0]))
    return _Outcome("not found", query.kind, note=ranking.missing or "Nothing here is called that.")


def _ranked(query: Query, shelves: Sequence[Shelf]) -> Ranking:
    if query.pattern is not None:
        return Ranking(missing="A pattern fits many molecules; search for it instead.")
    every = [Allowed(None)] * len(shelves)
    return look_up(query, shelves, every, threshold=_NOTHING_SIMILAR) or by_name(query.text, shelves, every)


def _doubt(query: Query, candidate: Candidate) -> str:
    if candidate.how == "corrected":
        return (
            f"No such name; perhaps {query.corrected} is meant."
            if query.corrected
            else "No such name; similar ones."
        )
    return {
        "stereo": "Only with another stereo prefix.",
        "stereo differs": "Only with other or unstated stereo.",
        "same parent": "Only as another salt, charge or solvate.",
        "tautomer": "Only as a tautomer or another protonation state.",
    }.get(candidate.how, "Not certain.")


def _matches(candidates: Sequence[Candidate], shelves: Sequence[Shelf]) -> list[dict[str, Any]]:
    found = []
    for candidate in candidates:
        shelf = shelves[candidate.shelf]
        row = shelf.library.row(candidate.row)
        found.append(
            {"library": shelf.library.id, "molecule": molecule_json(row), "how": candidate.how or "formula"}
        )
    return found
