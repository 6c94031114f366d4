"""Which libraries a person may read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from workers import inference, libraries


def shelf(user: Any) -> list[dict[str, Any]]:
    """The libraries that ``user`` may read, with their state."""
    return libraries.list_libraries(user)


def readable(
    user: Any, asked: Iterable[str] = (), known: Iterable[dict[str, Any]] | None = None
) -> tuple[str, ...]:
    """Ids to search: ``asked``, or all that ``user`` may read (``known``, where the shelf has been read already).

    Raises:
        workers.inference.NotFound: one of ``asked`` does not exist or is somebody else's (one message for both).
    """
    names = [entry["id"] for entry in (shelf(user) if known is None else known)]
    for identifier in asked:
        if identifier not in names:
            raise inference.NotFound(f"There is no library “{identifier[:60]}” that you may read.")
    return tuple(dict.fromkeys(asked)) or tuple(names)


def picks(user: Any, keys: Iterable[str]) -> list[tuple[str, str]]:
    """``library:id`` keys as pairs, each once and in order, all from libraries that ``user`` may read.

    Raises:
        workers.inference.BadInput: a key has no colon.
        workers.inference.NotFound: a library is not there or not the user's to read.
    """
    rows = []
    for key in dict.fromkeys(keys):
        library, colon, identifier = key.partition(":")
        if not (library and colon and identifier):
            raise inference.BadInput(f"“{key[:60]}” names no molecule.", "pick", "Write library:id.")
        rows.append((library, identifier))
    readable(user, {library for library, _ in rows})
    return rows
