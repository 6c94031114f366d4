"""Hits as files that open elsewhere: CSV, SD file, SMILES; with ids, names, InChIKeys, scores and the query."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

from mlcore.retrieval.rows import MoleculeRow
from mlcore.runtime.errors import InputError, LimitError
from mlcore.runtime.sandbox import Sandbox, shared

FORMATS = {
    "csv": "text/csv; charset=utf-8",
    "sdf": "chemical/x-mdl-sdfile",
    "smi": "chemical/x-daylight-smiles",
}
MOST_ROWS = 10_000
_BATCH = 200
_COLUMNS = (
    "rank", "score", "library", "id", "name", "smiles", "standard_smiles", "inchikey", "formula", "weight",
    "exact_mass", "logp", "tpsa", "hbd", "hba", "rings", "charge", "stereocentres", "heavy_atoms", "rotatable",
    "category", "synonyms", "description", "query",
)  # fmt: skip
_TITLES = {
    "rank": "Rank", "score": "Score", "library": "Library", "id": "ID", "name": "Name", "smiles": "SMILES",
    "standard_smiles": "Standard SMILES", "inchikey": "InChIKey", "formula": "Formula", "weight": "Weight (Da)",
    "exact_mass": "Exact mass (Da)", "logp": "logP", "tpsa": "TPSA (A^2)", "hbd": "H-bond donors",
    "hba": "H-bond acceptors", "rings": "Rings", "charge": "Charge", "stereocentres": "Stereo centres",
    "heavy_atoms": "Heavy atoms", "rotatable": "Rotatable bonds", "category": "Category", "synonyms": "Synonyms",
    "description": "Description", "query": "Query",
}  # fmt: skip
#: a text that begins so is run as a formula by spreadsheet programs
_FORMULA = re.compile(r"^[\s]*[=+\-@|%]|^[\t\r\n]")


@dataclass(frozen=True)
class ExportRow:
    """One molecule to be written; ``rank`` and ``score`` as the page showed them, if it did."""

    library: str
    molecule: MoleculeRow
    rank: int | None = None
    score: float | None = None


@dataclass(frozen=True)
class Exported:
    """A finished file; ``notes`` tell what could not be written."""

    filename: str
    content_type: str
    data: bytes
    notes: tuple[str, ...] = ()


def export(
    format: str,
    rows: Sequence[ExportRow],
    *,
    query: str = "",
    sandbox: Sandbox | None = None,
) -> Exported:
    """``rows`` as a file of ``format`` (``csv``, ``sdf`` or ``smi``), in their order.

    CSV is UTF-8 with a byte order mark, so that spreadsheet programs read Greek letters; texts that such a
    program would run as a formula are preceded by an apostrophe. SD files are V2000, V3000 only above 999
    atoms. Structures are written as they were uploaded. Raises :class:`InputError` for an unknown format, a
    rank below 1 or a score outside 0 to 1, :class:`LimitError` above :data:`MOST_ROWS` rows.
    """
    if format not in FORMATS:
        raise InputError(
            f"'{format[:20]}' is not an export format.", field="format", remedy=f"Use {', '.join(FORMATS)}."
        )
    if len(rows) > MOST_ROWS:
        raise LimitError(
            f"{len(rows):,} molecules are too many for one file; {MOST_ROWS:,} is the limit.",
            field="rows",
            remedy="Narrow the search or export in parts.",
        )
    for row in rows:
        _check_numbers(row)
    notes: tuple[str, ...] = ()
    if format == "csv":
        data = _csv(rows, query)
    elif format == "smi":
        data = _smi(rows)
    else:
        data, notes = _sdf(rows, query, sandbox or shared())
    return Exported(f"{_stem(query)}.{format}", FORMATS[format], data, notes)


def _check_numbers(row: ExportRow) -> None:
    """Refuse a rank or a score that no search can have given."""
    if row.rank is not None and row.rank < 1:
        raise InputError(f"No hit has the rank {row.rank}.", field="rank", remedy="Ranks count from 1.")
    if row.score is not None and not 0 <= row.score <= 1:  # not so for nan either
        raise InputError(
            f"No hit has the score {row.score:g}.", field="score", remedy="Scores lie between 0 and 1."
        )


def _stem(query: str) -> str:
    plain = re.sub(r"[^a-z0-9]+", "-", query.lower()).strip("-")[:40].strip("-")
    return f"ferry-{plain}" if plain else "ferry-molecules"


def _values(row: ExportRow, query: str) -> dict[str, str | int | float | None]:
    molecule = row.molecule
    found: dict[str, str | int | float | None] = {
        "rank": row.rank,
        "score": row.score,
        "library": row.library,
        "id": molecule.id,
        "name": molecule.name,
        "smiles": molecule.smiles,
        "standard_smiles": molecule.standard_smiles,
        "inchikey": molecule.inchikey,
        "formula": molecule.formula,
        "weight": round(molecule.weight, 3),
        "exact_mass": round(molecule.exact_mass, 5),
        "category": molecule.category,
        "synonyms": "; ".join(molecule.synonyms),
        "description": molecule.descriptions[0] if molecule.descriptions else "",
        "query": query,
    }
    for name, value in molecule.properties.items():
        found[name] = int(value) if float(value).is_integer() else round(float(value), 3)
    return found


def safe_cell(text: str) -> str:
    """``text`` so that no spreadsheet program runs it, on one line and without control characters."""
    flat = "".join(letter if letter.isprintable() else " " for letter in text)
    return f"'{flat}" if _FORMULA.match(text) or _FORMULA.match(flat) else flat


def _csv(rows: Sequence[ExportRow], query: str) -> bytes:
    sheet = io.StringIO(newline="")
    writer = csv.writer(sheet, lineterminator="\r\n")
    writer.writerow([_TITLES[name] for name in _COLUMNS])
    for row in rows:
        values = _values(row, query)
        cells = [values.get(name) for name in _COLUMNS]
        writer.writerow(["" if c is None else safe_cell(c) if isinstance(c, str) else c for c in cells])
    return sheet.getvalue().encode("utf-8-sig")


def _line(text: object) -> str:
    """One line of a file whose lines mean something."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in str(text)).split())


def _smi(rows: Sequence[ExportRow]) -> bytes:
    lines = (
        f"{_line(row.molecule.smiles)}\t{_line(row.molecule.id)} {_line(row.molecule.name)}" for row in rows
    )
    return "".join(f"{line}\n" for line in lines).encode()


def _sdf(rows: Sequence[ExportRow], query: str, sandbox: Sandbox) -> tuple[bytes, tuple[str, ...]]:
    parts: list[bytes] = []
    failed: list[str] = []
    for start in range(0, len(rows), _BATCH):
        batch = rows[start : start + _BATCH]
        records = [_record(row, query) for row in batch]
        bad, data = sandbox.call("mlcore.retrieval.inside.writing:sdf", {"records": records}, seconds=20.0)
        parts.append(data)
        failed.extend(batch[place].molecule.id for place in bad)
    if not failed:
        return b"".join(parts), ()
    shown = ", ".join(failed[:5]) + (" and others" if len(failed) > 5 else "")
    return b"".join(parts), (f"{len(failed)} of {len(rows)} molecules could not be written: {shown}.",)


def _record(row: ExportRow, query: str) -> dict[str, object]:
    values = _values(row, query)
    fields = {
        _TITLES[name]: _line(values[name])
        for name in _COLUMNS
        if values.get(name) not in (None, "") and name != "standard_smiles"
    }
    return {"smiles": row.molecule.smiles, "title": _line(row.molecule.name)[:80], "fields": fields}
