"""A library's own rows as a table again, so that another model can encode them."""

from __future__ import annotations

import csv
from pathlib import Path

from mlcore.retrieval.rows import connect, read_rows
from mlcore.runtime.errors import LibraryError

COLUMNS = ("id", "name", "synonyms", "smiles", "category", "description", "source")
_BATCH = 1000


def write_source(library: Path, out: Path) -> int:
    """Write the molecules of the library folder ``library`` to the table ``out``; how many there are.

    The library may be of any model: only its rows are read. A molecule with several texts gets a line for each, the
    further ones with nothing else but its structure. Raises :class:`LibraryError` when there are no rows to read.
    """
    rows = library / "rows.sqlite"
    if not rows.exists():
        raise LibraryError(f"There is no library in {library}: its rows are missing. Import it again.")
    connection = connect(rows)
    try:
        count = int(connection.execute("SELECT COUNT(*) FROM rows").fetchone()[0])
        with out.open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file, delimiter="\t", lineterminator="\n")
            table.writerow(COLUMNS)
            for first in range(0, count, _BATCH):
                for row in read_rows(connection, range(first, min(first + _BATCH, count))):
                    text, *more = row.descriptions or ("",)
                    names = "|".join(row.synonyms)
                    table.writerow((row.id, row.name, names, row.smiles, row.category, text, row.source))
                    table.writerows(("", "", "", row.smiles, "", other, row.source) for other in more)
        return count
    finally:
        connection.close()
