"""From lines to records: SMILES files, SD files and tables, told apart by their content.

A record that cannot be used still comes out, with its ``fault``: nothing is dropped in silence, and one bad
record never takes its neighbours along. Records and lines are numbered from 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mlcore.retrieval.records import ROLES, STRUCTURE, RawRecord, Reader, normal, one_line, split_names, texts
from mlcore.retrieval.sources import Limits, TextSource
from mlcore.retrieval.tables import TableReader, no_structures


def open_molecules(path: str | Path, limits: Limits | None = None) -> Reader:
    """A reader for ``path`` by its content, whatever its name says.

    Raises :class:`InputError` when the file is missing, empty, no text, damaged, or a table without
    structures.
    """
    source = TextSource(Path(path), limits)
    suffixes = [suffix.lower().lstrip(".") for suffix in source.path.suffixes]
    named = next((s for s in reversed(suffixes) if s not in ("gz", "gzip")), "")
    reader: Reader
    if re.search(r"^(\$\$\$\$|M  END)\s*$|V[23]000[ \t]*\r?$", source.text, re.MULTILINE):
        reader = SdfReader(source)
    elif (table := TableReader.sniff(source)) is not None:
        reader = table
    elif named in ("csv", "tsv", "tab", "txt", "dat"):
        raise no_structures(source)
    else:
        reader = SdfReader(source) if named in ("sdf", "sd", "mol") else SmilesReader(source)
    expected = {"sd": "sdf", "mol": "sdf", "tab": "tsv", "smiles": "smi", "ism": "smi", "can": "smi"}.get(
        named, named
    )
    tables = {"csv", "tsv"}
    if (
        expected in ("smi", "sdf", "csv", "tsv")
        and expected != reader.format
        and {expected, reader.format} != tables
    ):
        source.notes.append(
            f"The file is named .{named} but its content is {reader.format.upper()}; it was read so."
        )
    return reader


@dataclass
class SmilesReader:
    """``SMILES name`` a line; lines that begin with ``#`` and empty lines are skipped, so is a heading."""

    source: TextSource
    format: str = "smi"
    columns: dict[str, str] = field(default_factory=dict)

    def records(self) -> Iterator[RawRecord]:
        """See :meth:`Reader.records`."""
        count = 0
        for line in self.source.lines():
            text = line.text.strip()
            if (not text and line.fault is None) or text.startswith("#"):
                continue
            smiles, _, rest = text.partition("\t") if "\t" in text else text.partition(" ")
            if line.number == 1 and smiles.lower() in STRUCTURE:
                continue
            count += 1
            rest = rest.strip()
            extension = re.match(r"\|[^|]*\|\s*", rest)
            if extension:  # CXSMILES: handed on with the structure, reported by the standardisation
                smiles, rest = f"{smiles} {extension.group().strip()}", rest[extension.end() :]
            name = rest.split("\t")[0].strip()
            plain = name if name and not re.search(r"\s", name) else ""
            yield RawRecord(
                count, line.number, line.text, "smiles", smiles.strip(), plain, name, fault=line.fault
            )

    def mend_header(self) -> str:
        """A SMILES file has no heading."""
        return ""

    def mend(self, record: RawRecord, reason: str) -> str:
        """The line below a comment with the reason."""
        return f"# line {record.line}: {one_line(reason)}\n{record.raw}\n"


@dataclass
class SdfReader:
    """Records of an SD file, split on ``$$$$`` alone, so that a broken one ends where it ends."""

    source: TextSource
    format: str = "sdf"
    columns: dict[str, str] = field(default_factory=dict)

    def records(self) -> Iterator[RawRecord]:
        """See :meth:`Reader.records`."""
        count, start, size = 0, 1, 0
        held: list[str] = []
        fault: str | None = None
        for line in self.source.lines():
            if line.text.rstrip() == "$$$$":
                count += 1
                yield self._record(count, start, held, fault)
                held, start, size, fault = [], line.number + 1, 0, None
                continue
            fault = fault or (f"line {line.number}: {line.fault}" if line.fault else None)
            size += len(line.text) + 1
            if size <= self.source.limits.record_bytes:
                held.append(line.text)
            else:
                fault = fault or f"the record is longer than {self.source.limits.record_bytes:,} bytes"
        if fault or any(text.strip() for text in held):
            yield self._record(count + 1, start, held, fault)

    def _record(self, number: int, line: int, lines: list[str], fault: str | None) -> RawRecord:
        raw = "\n".join(lines)
        if fault is None and not raw.strip():
            fault = "the record is empty"
        if fault is not None:
            return RawRecord(number, line, raw, "molblock", "", fault=fault)
        end = next((i for i, text in enumerate(lines) if text.startswith("M  END")), None)
        if end is None:  # RDKit says what is missing
            end = next((i for i, text in enumerate(lines) if text.startswith("> ")), len(lines)) - 1
        data = _sd_fields(lines[end + 1 :])
        cells = _by_role(data, self.columns)
        title = lines[0].strip() if lines else ""
        name = cells.get("name", "") or title
        identifier = cells.get("id", "") or (title if title and not re.search(r"\s", title) else "")
        return RawRecord(
            number, line, raw, "molblock", "\n".join(lines[: end + 1]) + "\n", identifier, name,
            split_names(cells.get("synonyms", "")), texts(cells.get("description", "")),
            cells.get("category", ""), cells.get("source", ""),
        )  # fmt: skip

    def mend_header(self) -> str:
        """An SD file has no heading."""
        return ""

    def mend(self, record: RawRecord, reason: str) -> str:
        """The record with the reason as a data item."""
        text = re.sub(r"> <refused_reason>\n.*\n\n?", "", record.raw).rstrip("\n")
        gap = "" if text.endswith("M  END") else "\n"
        return f"{text}\n{gap}> <refused_reason>\nline {record.line}: {one_line(reason)}\n\n$$$$\n"


def _sd_fields(lines: list[str]) -> dict[str, str]:
    fields: dict[str, list[str]] = {}
    tag: str | None = None
    for text in lines:
        if text.startswith(">"):
            found = re.search(r"<([^>]*)>", text)
            tag = found.group(1) if found else None
            if tag is not None:
                fields[tag] = []
        elif not text.strip():
            tag = None
        elif tag is not None:
            fields[tag].append(text.strip())
    return {name: "\n".join(values) for name, values in fields.items()}


def _by_role(data: dict[str, str], columns: dict[str, str]) -> dict[str, str]:
    """The SD fields of a record by role; ``columns`` learns which field stood for which role."""
    names = {normal(name): name for name in data}
    cells: dict[str, str] = {}
    for role, known in ROLES.items():
        field_name = next((names[name] for name in known if name in names and data[names[name]]), None)
        if field_name is not None:
            cells[role] = data[field_name]
            columns.setdefault(role, field_name)
    return cells
