"""Looking up many entries at once."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

from webapp.search.shelves import readable
from webapp.search.vocabulary import MAX_LOOKUP
from workers import inference

COLUMNS = ("entry", "status", "read as", "library", "id", "name", "SMILES", "InChIKey", "note")
#: a text that begins so is run as a formula by spreadsheet programs
RISKY = re.compile(r"\s*[=+\-@|%]|[\t\r\n]")


def entries(text: str) -> list[str]:
    """The lines of a pasted list, trimmed, empty ones left out.

    Raises:
        workers.inference.BadInput: the list is empty or longer than ``MAX_LOOKUP``.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise inference.BadInput(
            "The list is empty.", "items", "Paste one name, SMILES, InChI or InChIKey a line."
        )
    if len(lines) > MAX_LOOKUP:
        raise inference.BadInput(
            f"The list has {len(lines):,} entries and the limit is {MAX_LOOKUP:,}.",
            "items",
            "Paste it in parts, or use the API from a program.",
        )
    return lines


def look_up(text: str, user: Any) -> dict[str, Any]:
    """The look-up answer for a pasted list: ``{"rows": […], "counts": {found, ambiguous, not_found}}``."""
    lines = entries(text)
    answer = inference.lookup(lines, libraries=readable(user))
    # "items" is a method of every mapping in a template, so the rows go by another name.
    return {
        "rows": answer["items"],
        "counts": {name: answer[name] for name in ("found", "ambiguous", "not_found")},
    }


def table(text: str, user: Any) -> bytes:
    """The look-up as CSV (UTF-8): a line for every match, and one for an entry that has none."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for row in look_up(text, user)["rows"]:
        for match in row["matches"] or [{}]:
            found = [match.get(name, "") for name in ("library", "id", "name", "smiles", "inchikey")]
            cells = (row["item"], row["status"], row["kind"], *found, row["note"])
            writer.writerow([_plain(str(cell or "")) for cell in cells])
    return out.getvalue().encode("utf-8")


def _plain(cell: str) -> str:
    """A text on one line, so written that a spreadsheet does not take it for a formula."""
    flat = "".join(letter if letter.isprintable() else " " for letter in cell)
    return f"'{flat}" if RISKY.match(cell) or RISKY.match(flat) else flat
