"""Which rows of a library pass a search's filters: columns first, then similarity, then the substructure."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from mlcore.retrieval.filters import Filters
from mlcore.retrieval.shelf import Shelf
from mlcore.retrieval.structure import Pattern, may_contain, read_any, read_pattern, tanimoto
from mlcore.runtime.errors import LimitError
from mlcore.runtime.sandbox import Sandbox, shared

#: seconds that matching a substructure may take per library
SECONDS = 2.0
#: molecules that go to the sandbox at once: few at first, so that a slow pattern is noticed early
_CHUNKS = (200, 1000, 4000)


@dataclass(frozen=True, eq=False)
class Allowed:
    """Which rows of one library pass: ``mask`` (size,) bool, ``None`` when all do; notes on what was left unchecked."""

    mask: np.ndarray | None
    notes: tuple[str, ...] = ()
    unchecked: int = 0

    def __contains__(self, row: int) -> bool:
        return self.mask is None or bool(self.mask[row])

    @property
    def rows(self) -> np.ndarray | None:
        """The numbers of the rows that pass, or ``None`` for all."""
        return None if self.mask is None else np.flatnonzero(self.mask)

    def count(self, size: int) -> int:
        """How many of ``size`` rows pass."""
        return size if self.mask is None else int(self.mask.sum())


def evaluate(
    filters: Filters,
    shelf: Shelf,
    *,
    stereo: bool = True,
    sandbox: Sandbox | None = None,
    seconds: float = SECONDS,
) -> Allowed:
    """Which rows of ``shelf`` pass ``filters``: the cheap conditions first, then similarity, then the
    substructure.

    A substructure that takes longer than ``seconds`` gives a partial answer and a note with the number of
    molecules not checked (they do not pass). Raises :class:`InputError` for an unreadable structure or
    pattern.
    """
    pattern = (
        read_pattern(filters.substructure, field="substructure", sandbox=sandbox)
        if filters.substructure
        else None
    )
    similar = (
        read_any(filters.similar_to, field="similar_to", sandbox=sandbox) if filters.similar_to else None
    )
    if not filters or (not pattern and not similar and not _cheap(filters)):
        return Allowed(None)
    mask = _by_columns(filters, shelf)
    if similar is not None:
        rows = np.flatnonzero(mask)
        alike = tanimoto(np.asarray(shelf.library.fingerprints())[rows], similar.morgan)
        mask[rows[alike < filters.similarity]] = False
    if pattern is None:
        return Allowed(mask)
    return contains(pattern, shelf, mask, stereo=stereo, sandbox=sandbox, seconds=seconds)


def _cheap(filters: Filters) -> bool:
    return bool(
        filters.ranges
        or filters.mass is not None
        or filters.elements
        or filters.without
        or filters.only
        or filters.categories
    )


def _by_columns(filters: Filters, shelf: Shelf) -> np.ndarray:
    mask = np.ones(shelf.size, bool)
    for name, least, most in filters.ranges:
        values = shelf.columns[name]
        if least is not None:
            mask &= values >= least - 1e-9
        if most is not None:
            mask &= values <= most + 1e-9
    if filters.mass is not None:
        width = (
            filters.tolerance if filters.tolerance_unit == "Da" else filters.mass * filters.tolerance * 1e-6
        )
        mask &= np.abs(shelf.columns["exact_mass"] - filters.mass) <= width + 1e-9
    nothing = np.zeros(shelf.size, bool)
    for symbol in filters.elements:
        mask &= shelf.elements.get(symbol, nothing)
    for symbol in filters.without:
        mask &= ~shelf.elements.get(symbol, nothing)
    if filters.only:
        for symbol, rows in shelf.elements.items():
            if symbol not in filters.only:
                mask &= ~rows
    if filters.categories:
        wanted = {category.casefold() for category in filters.categories}
        mask &= np.fromiter((value.casefold() in wanted for value in shelf.categories), bool, shelf.size)
    return mask


def contains(
    pattern: Pattern,
    shelf: Shelf,
    mask: np.ndarray | None = None,
    *,
    stereo: bool = True,
    sandbox: Sandbox | None = None,
    seconds: float = SECONDS,
) -> Allowed:
    """Which rows of ``shelf`` (among ``mask``) contain ``pattern``: screened by bits, then matched in the
    sandbox.

    With ``stereo`` the pattern's stereo must agree. Partial after ``seconds``, with a note.
    """
    start = np.ones(shelf.size, bool) if mask is None else mask
    key = (pattern.text, pattern.form, stereo)
    known = shelf.contained.get(key)
    if known is not None:
        return Allowed(start & known)
    candidates = np.flatnonzero(
        may_contain(np.asarray(shelf.library.pattern_fingerprints()), pattern.bits) & start
    )
    found, checked = _match(pattern, shelf, candidates, stereo, sandbox or shared(), seconds)
    result = np.zeros(shelf.size, bool)
    result[found] = True
    unchecked = len(candidates) - checked
    if unchecked:
        note = (
            f"The substructure search stopped after {seconds:g} s; {unchecked:,} molecules were not checked."
        )
        return Allowed(result, (note,), unchecked)
    if mask is None or mask.all():
        shelf.remember(key, result)
    return Allowed(result)


def _match(
    pattern: Pattern, shelf: Shelf, candidates: np.ndarray, stereo: bool, sandbox: Sandbox, seconds: float
) -> tuple[np.ndarray, int]:
    """The rows of ``candidates`` that match and how many were checked in time."""
    deadline = time.monotonic() + seconds
    matched: list[np.ndarray] = []
    checked = 0
    chunks = iter(_CHUNKS)
    size = next(chunks)
    while checked < len(candidates):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        part = candidates[checked : checked + size]
        arguments = {"pattern": pattern.text, "form": pattern.form, "stereo": stereo, "seconds": left}
        try:
            count, flags = sandbox.call(
                "mlcore.retrieval.inside.matching:match",
                arguments,
                seconds=left + 0.25,
                blob="\n".join(shelf.smiles(part)).encode(),
            )
        except LimitError:
            break
        matched.append(part[:count][np.frombuffer(flags, np.uint8).astype(bool)])
        checked += count
        size = next(chunks, size)
        if count < len(part):
            break
    return (np.concatenate(matched) if matched else np.empty(0, np.int64)), checked
