"""A query as it was typed or pasted, made ready for reading: no control characters, one Unicode form, not too long."""

from __future__ import annotations

import re
import unicodedata

from mlcore.runtime.errors import InputError, LimitError

#: the longest text in bytes, and the longest molfile
LONGEST = 20_000
LONGEST_MOLFILE = 100_000


def clean(text: str, *, molfile: bool = False) -> tuple[str, list[str]]:
    """``text`` without control and invisible characters, in Unicode form NFKC, and notes on what was left out.

    The layout of a molfile is kept. Raises :class:`InputError` (``field="q"``) where nothing is left,
    :class:`LimitError` above :data:`LONGEST` bytes (:data:`LONGEST_MOLFILE` for a molfile).
    """
    size = len(text.encode("utf-8", "replace"))
    molfile = molfile or is_molfile(text)
    limit = LONGEST_MOLFILE if molfile else LONGEST
    if size > limit:
        raise LimitError(
            f"The query is {size:,} bytes long; {limit:,} is the limit.",
            field="q",
            remedy="Search with a sentence or one structure; look up long lists as a batch.",
        )
    kept = []
    control = invisible = 0
    for letter in text.replace("\r\n", "\n").replace("\r", "\n"):
        category = unicodedata.category(letter)
        if (category == "Cc" and letter not in "\n\t") or category in ("Cs", "Co", "Cn"):
            control += 1
        elif category == "Cf" and letter not in "\u200c\u200d":  # joiners shape letters and emoji
            invisible += 1
        else:
            kept.append(letter)
    notes = []
    if control:
        notes.append(f"{control} control character{'s were' if control > 1 else ' was'} left out.")
    if invisible:
        notes.append(f"{invisible} invisible character{'s were' if invisible > 1 else ' was'} left out.")
    cleaned = "".join(kept)
    cleaned = (
        cleaned.strip("\n") if molfile and cleaned.strip() else unicodedata.normalize("NFKC", cleaned).strip()
    )
    if molfile:
        cleaned = "".join(kept).rstrip()
    if (
        len(cleaned) > 1
        and cleaned[0] == cleaned[-1]
        and cleaned[0] in "\"'"
        and cleaned[0] not in cleaned[1:-1]
    ):
        cleaned = cleaned[1:-1].strip()
    if not cleaned.strip():
        raise InputError(
            "There is nothing to search for.",
            field="q",
            remedy="Type a description, a name, a formula or a structure.",
        )
    return cleaned, notes


def is_molfile(text: str) -> bool:
    """Whether ``text`` has several lines and the marks of a molfile."""
    return "\n" in text.replace("\r", "\n").strip() and (
        "M  END" in text or re.search(r"V[23]000", text) is not None
    )
