"""Files of exactly the molecules that were selected, shown or found."""

from __future__ import annotations

from typing import Any

from django.http import QueryDict

from webapp.search.shelves import picks, readable
from webapp.search.state import SearchState
from workers import inference

FORMATS = ("csv", "sdf", "smi")
SCOPES = ("basket", "shown", "all")
MOST = 1_000
STEP = 200


def file(values: QueryDict, user: Any) -> tuple[str, str, bytes]:
    """``(file name, content type, content)`` for a posted export form.

    ``scope`` basket takes the ``pick`` fields, shown the ``shown`` fields, all runs ``search`` again.

    Raises:
        workers.inference.BadInput: no rows, or a format that is not written here.
    """
    kind, scope = values.get("format", "csv"), values.get("scope", "basket")
    if kind not in FORMATS:
        raise inference.BadInput(
            f"“{kind[:20]}” is no file format here.", "format", f"Take one of {', '.join(FORMATS)}."
        )
    rows = found(values.get("search", ""), user) if scope == "all" else []
    rows = rows or picks(user, values.getlist("shown" if scope == "shown" else "pick"))
    if not rows:
        raise inference.BadInput(
            "Nothing was selected, so there is nothing to export.",
            "pick",
            "Tick some molecules first, or export what is shown.",
        )
    return inference.export(kind, rows, values.get("q", ""))


def found(query: str, user: Any) -> list[tuple[str, str]]:
    """All rows of a search, best first, at most ``MOST``."""
    state, _ = SearchState.read(QueryDict(query.removeprefix("?")))
    libraries = readable(user, state.libraries)
    rows: list[tuple[str, str]] = []
    for offset in range(0, MOST, STEP):
        answer = inference.search(libraries=libraries, **state.changed(k=STEP, offset=offset).door())
        rows += [(hit["library"], hit["molecule"]["id"]) for hit in answer["hits"]]
        if len(answer["hits"]) < STEP:
            break
    return rows[:MOST]
