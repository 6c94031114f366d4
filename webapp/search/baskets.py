"""What is in a basket: rows by name, with those that have gone missing said so."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from webapp.search.shelves import shelf
from workers import inference

MOST = 500


def contents(keys: Iterable[str], user: Any) -> dict[str, Any]:
    """``{"rows": […], "missing": […], "left_out": n}`` for ``library:id`` keys, in the order given."""
    known = {entry["id"] for entry in shelf(user)}
    wanted = list(dict.fromkeys(keys))
    rows, missing = [], []
    for key in wanted[:MOST]:
        library, _, identifier = key.partition(":")
        try:
            row = inference.molecule(library, identifier) if library in known else None
        except inference.NotFound:
            row = None
        if row is None:
            missing.append(key)
        else:
            rows.append({"key": key, **row})
    return {"rows": rows, "missing": missing, "left_out": max(len(wanted) - MOST, 0)}
