"""Files of exactly the molecules that were selected, shown or found."""

from __future__ import annotations

import math
from typing import Any

from django.http import QueryDict

from webapp.search.shelves import picks, readable
from webapp.search.state import SearchState
from webapp.search.vocabulary import EXPORT_FORMATS, MAX_EXPORT_HITS, MAX_K, MAX_OFFSET, names
from workers import inference

FORMATS = names(EXPORT_FORMATS)


def file(values: QueryDict, user: Any) -> tuple[str, str, bytes, list[str]]:
    """``(file name, content type, content, notes)`` for a posted export form; notes tell what is not in the file.

    ``scope`` basket takes the ``pick`` fields, shown the ``shown`` fields with a ``rank`` and a ``score`` for each,
    all runs ``search`` again.

    Raises:
        workers.inference.BadInput: no rows, a format that is not written here, or a rank or score that no hit has.
    """
    kind, scope = values.get("format", "csv"), values.get("scope", "basket")
    if kind not in FORMATS:
        raise inference.BadInput(
            f"“{kind[:20]}” is no file format here.", "format", f"Take one of {', '.join(FORMATS)}."
        )
    if scope == "all":
        rows = found(values.get("search", ""), user)
    elif scope == "shown":
        rows = shown(values, user)
    else:
        rows = picks(user, values.getlist("pick"))
    if not rows:
        raise inference.BadInput(
            "Nothing was selected, so there is nothing to export.",
            "pick",
            "Tick some molecules first, or export what is shown.",
        )
    return inference.export(kind, rows, values.get("q", ""))


def fields(values: QueryDict) -> list[tuple[str, str]]:
    """The fields of a posted export form, so that it can be sent once more."""
    kept = ("format", "scope", "q", "search", "pick", "shown", "rank", "score")
    return [(name, value) for name in kept for value in values.getlist(name)]


def shown(values: QueryDict, user: Any) -> list[inference.ExportRow]:
    """The hits that a page showed, with the rank and the score that it showed.

    Both come back from the browser, so they are read as strictly as anything that a person types.
    """
    keys, ranks, scores = (values.getlist(name) for name in ("shown", "rank", "score"))
    rows = picks(user, keys)
    if not ranks and not scores:
        return rows
    if not len(rows) == len(keys) == len(ranks) == len(scores):
        raise inference.BadInput(
            "The list of hits and their numbers do not belong together.",
            "shown",
            "Reload the page and try again.",
        )
    return [
        (library, identifier, _rank(rank), _score(score))
        for (library, identifier), rank, score in zip(rows, ranks, scores, strict=True)
    ]


def _rank(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) < 8 and 1 <= int(text) <= MAX_OFFSET + MAX_K:
        return int(text)
    raise inference.BadInput(f"“{text[:20]}” is no rank.", "rank", "Ranks are whole numbers from 1.")


def _score(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:  # so is nan refused
        raise inference.BadInput(f"“{text[:20]}” is no score.", "score", "Scores lie between 0 and 1.")
    return value


def found(query: str, user: Any) -> list[inference.ExportRow]:
    """All hits of a search with rank and score, best first, at most ``MAX_EXPORT_HITS``."""
    state, _ = SearchState.read(QueryDict(query.removeprefix("?")))
    libraries = readable(user, state.libraries)
    rows: list[inference.ExportRow] = []
    for offset in range(0, MAX_EXPORT_HITS, MAX_K):
        answer = inference.search(libraries=libraries, **state.changed(k=MAX_K, offset=offset).door())
        hits = answer["hits"]
        rows += [(hit["library"], hit["molecule"]["id"], hit["rank"], hit["score"]) for hit in hits]
        if len(hits) < MAX_K:
            break
    return rows[:MAX_EXPORT_HITS]
