"""From lines to records: SMILES files, SD files and tables, told apart by their content.

A record that cannot be used still comes out, with its ``fault``: nothing is dropped in silence, and one bad
record never takes its neighbours along. Records and lines are numbered from 1.
"""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import NamedTuple, Protocol

from mlcore.retrieval.sources import Limits, Line, TextSource
from mlcore.runtime.errors import InputError

#: what a column (or an SD field) may be called, most trusted first
STRUCTURE = (
    "smiles", "isomeric_smiles", "isomericsmiles", "isosmiles", "structure", "structure_smiles",
    "smiles_string", "canonical_smiles", "canonicalsmiles", "cansmiles", "rdkit_smiles", "mol_smiles", "smi",
)  # fmt: skip
INCHI = ("inchi", "standard_inchi", "std_inchi", "standardinchi")
ROLES = {
    "id": (
        "id", "identifier", "compound_id", "molecule_id", "mol_id", "molecule_chembl_id", "chembl_id",
        "chebi_id", "pubchem_cid", "pubchem_compound_cid", "cid", "zinc_id", "drugbank_id", "catalog_id",
        "catalogue_id", "row",
    ),
    "name": (
        "name", "title", "preferred_name", "pref_name", "common_name", "generic_name", "compound_name",
        "molecule_name", "chebi_name", "iupac_name", "pubchem_iupac_name",
    ),
    "synonyms": ("synonyms", "synonym", "aliases", "other_names"),
    "description": ("description", "descriptions", "sentence", "text", "definition"),
    "category": ("category", "class", "group"),
    "source": ("source", "sources", "dataset"),
}  # fmt: skip
#: the columns a file to mend has more than its original
MEND_COLUMNS = ("refused_line", "refused_reason")
_DELIMITERS = "\t,;|"
_QUOTED_LINES = 1_000


class RawRecord(NamedTuple):
    """One record as the file gives it, before any chemistry."""

    record: int
    line: int
    raw: str  # the record's text, to be handed back for mending
    kind: str  # "smiles", "inchi" or "molblock"
    structure: str
    id: str = ""
    name: str = ""
    synonyms: tuple[str, ...] = ()
    descriptions: tuple[str, ...] = ()
    category: str = ""
    source: str = ""
    fault: str | None = None


class Reader(Protocol):
    """Reads one file, any number of times."""

    source: TextSource
    format: str  # "smi", "sdf", "csv" or "tsv"
    columns: dict[str, str]  # role -> the column's name in the file

    def records(self) -> Iterator[RawRecord]:
        """Every record from the first."""

    def mend_header(self) -> str:
        """What a file of refused records begins with."""

    def mend(self, record: RawRecord, reason: str) -> str:
        """``record`` with its ``reason``, in a form that :func:`open_molecules` reads again once it is
        mended.
        """


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
        raise _no_structures(source)
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


def _no_structures(source: TextSource) -> InputError:
    header = next((line for line in source.text.splitlines() if line.strip()), "")
    delimiter = max(_DELIMITERS, key=header.count)
    found = [cell.strip().strip('"') or "(no name)" for cell in header.split(delimiter)]
    shown = ", ".join(f"'{name[:40]}'" for name in found[:12]) + (", ..." if len(found) > 12 else "")
    return InputError(
        f"The file {source.path.name} has no column with structures; its columns are {shown}.",
        field="molecules",
        place="line 1",
        remedy="Name the column that holds the SMILES 'smiles'.",
    )


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
        return f"# line {record.line}: {_one_line(reason)}\n{record.raw}\n"


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
            _split_names(cells.get("synonyms", "")), _texts(cells.get("description", "")),
            cells.get("category", ""), cells.get("source", ""),
        )  # fmt: skip

    def mend_header(self) -> str:
        """An SD file has no heading."""
        return ""

    def mend(self, record: RawRecord, reason: str) -> str:
        """The record with the reason as a data item."""
        text = re.sub(r"> <refused_reason>\n.*\n\n?", "", record.raw).rstrip("\n")
        gap = "" if text.endswith("M  END") else "\n"
        return f"{text}\n{gap}> <refused_reason>\nline {record.line}: {_one_line(reason)}\n\n$$$$\n"


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


@dataclass
class TableReader:
    """A table with a heading: tab, comma, semicolon or bar between the cells, quoted or not."""

    source: TextSource
    format: str
    delimiter: str
    quoted: bool
    header: list[str]
    header_lines: int
    columns: dict[str, str]
    kind: str
    _where: dict[str, list[int]] = field(default_factory=dict)

    @classmethod
    def sniff(cls, source: TextSource) -> TableReader | None:
        """A reader when the first line is a heading with a column of structures, else None."""
        lines = source.text.splitlines()
        skipped = next((i for i, line in enumerate(lines) if line.strip()), 0)
        first = lines[skipped]
        for delimiter in sorted(_DELIMITERS, key=first.count, reverse=True):
            try:
                cells = next(csv.reader([first], delimiter=delimiter))
            except csv.Error:
                continue
            where = _columns([_normal(cell) for cell in cells])
            if "structure" not in where and "inchi" not in where:
                continue
            if len(cells) == 1 and delimiter in ("|", ";"):
                continue
            if len(cells) == 1 and source.path.name.lower().removesuffix(".gz").endswith((".smi", ".smiles")):
                return None
            body = lines[skipped + 1 : skipped + 200]
            quoted = delimiter != "\t" or any(
                len(cell) > 1 and cell[0] == cell[-1] == '"'
                for line in (first, *body)
                for cell in line.split("\t")
            )
            columns = {role: cells[found[0]].strip() for role, found in where.items()}
            kind = "smiles" if "structure" in where else "inchi"
            kind_of_file = "tsv" if delimiter == "\t" else "csv"
            header = [cell.strip() for cell in cells]
            return cls(source, kind_of_file, delimiter, quoted, header, skipped + 1, columns, kind, where)
        return None

    def records(self) -> Iterator[RawRecord]:
        """See :meth:`Reader.records`."""
        count = 0
        for line in self._logical():
            if line.number <= self.header_lines or (not line.text.strip() and line.fault is None):
                continue
            count += 1
            yield self._record(count, line)

    def _logical(self) -> Iterator[Line]:
        """Rows of the table: lines, joined where a quoted cell runs over several."""
        lines = self.source.lines()
        waiting: deque[Line] = deque()
        while True:
            line = waiting.popleft() if waiting else next(lines, None)
            if line is None:
                return
            if not self.quoted or '"' not in line.text or line.fault or not self._scan(line.text, False)[0]:
                yield line
                continue
            joined, closed = self._continuation(line, chain(iter(list(waiting)), lines))
            for _ in range(min(len(joined), len(waiting))):
                waiting.popleft()
            if closed:
                yield Line(line.number, "\n".join([line.text, *(following.text for following in joined)]))
            else:  # the quotation mark belongs to this line alone: its neighbours are rows of their own
                waiting.extendleft(reversed(joined))
                yield Line(line.number, line.text, "a quotation mark is opened and never closed")

    def _continuation(self, line: Line, following: Iterator[Line]) -> tuple[list[Line], bool]:
        """Lines that may belong to the quoted cell which ``line`` leaves open, and whether they close it."""
        joined: list[Line] = []
        size = len(line.text)
        for candidate in following:
            joined.append(candidate)
            size += len(candidate.text)
            if candidate.fault or size > self.source.limits.record_bytes or len(joined) > _QUOTED_LINES:
                return joined, False
            if '"' not in candidate.text:
                continue
            inside, clean = self._scan(candidate.text, True)
            if not clean:
                return joined, False
            if not inside:
                text = "\n".join([line.text, *(part.text for part in joined)])
                return joined, len(self._cells(text)) == len(self.header)
        return joined, False

    def _scan(self, text: str, inside: bool) -> tuple[bool, bool]:
        """Whether ``text`` ends inside a quoted cell, and whether every quoted cell in it ends at a
        delimiter.
        """
        start, clean, position = not inside, True, 0
        while position < len(text):
            character = text[position]
            if inside:
                if character == '"':
                    after = text[position + 1 : position + 2]
                    if after == '"':
                        position += 1
                    else:
                        inside = False
                        clean = clean and after in ("", self.delimiter)
            elif character == '"' and start:
                inside = True
            start = not inside and character == self.delimiter
            position += 1
        return inside, clean

    def _cells(self, text: str) -> list[str]:
        if not self.quoted or '"' not in text:
            return text.split(self.delimiter)
        return next(csv.reader([f"{part}\n" for part in text.split("\n")], delimiter=self.delimiter))

    def _record(self, number: int, line: Line) -> RawRecord:
        kind = self.kind
        if line.fault is not None:
            return RawRecord(number, line.number, line.text, kind, "", fault=line.fault)
        try:
            cells = [cell.strip() for cell in self._cells(line.text)]
        except csv.Error as fault:
            return RawRecord(
                number, line.number, line.text, kind, "", fault=f"the row cannot be split: {fault}"
            )
        while len(cells) > len(self.header) and not cells[-1]:
            cells.pop()
        if len(cells) > len(self.header):
            many = f"the row has {len(cells)} cells, the heading has {len(self.header)}"
            return RawRecord(number, line.number, line.text, kind, "", fault=many)
        cells += [""] * (len(self.header) - len(cells))
        role = "structure" if kind == "smiles" else "inchi"
        structure = cells[self._where[role][0]]

        def cell(role: str) -> str:
            return next((cells[i] for i in self._where.get(role, ()) if cells[i]), "")

        return RawRecord(
            number, line.number, line.text, kind, structure, cell("id"), cell("name"),
            tuple(name for i in self._where.get("synonyms", ()) for name in _split_names(cells[i])),
            tuple(text for i in self._where.get("description", ()) for text in _texts(cells[i])),
            cell("category"), cell("source"),
            fault=None if structure else f"the cell '{self.columns[role]}' is empty",
        )  # fmt: skip

    def mend_header(self) -> str:
        """The heading with two more columns."""
        kept = [name for name in self.header if _normal(name) not in MEND_COLUMNS]
        return self._written([*kept, *MEND_COLUMNS])

    def mend(self, record: RawRecord, reason: str) -> str:
        """The row's cells, then its line in the original and the reason."""
        try:
            cells = self._cells(record.raw)
        except csv.Error:
            cells = record.raw.split(self.delimiter)
        cells += [""] * (len(self.header) - len(cells))
        dropped = {i for i, name in enumerate(self.header) if _normal(name) in MEND_COLUMNS}
        kept = [cell for i, cell in enumerate(cells) if i not in dropped]
        return self._written([*kept, str(record.line), _one_line(reason)])

    def _written(self, cells: list[str]) -> str:
        if not self.quoted:
            return self.delimiter.join(cells) + "\n"
        lines: list[str] = []
        csv.writer(_Lines(lines), delimiter=self.delimiter, lineterminator="\n").writerow(cells)
        return "".join(lines)


@dataclass
class _Lines:
    """A file for ``csv.writer`` that keeps what is written."""

    kept: list[str]

    def write(self, text: str) -> None:
        self.kept.append(text)


def _normal(name: str) -> str:
    return re.sub(r"[\s\-.]+", "_", name.strip().strip('"').lower())


def _columns(names: list[str]) -> dict[str, list[int]]:
    """Role -> positions of its columns, the most trusted name first."""
    where: dict[str, list[int]] = {}
    for role, known in (("structure", STRUCTURE), ("inchi", INCHI), *ROLES.items()):
        found = [names.index(name) for name in known if name in names]
        if found:
            where[role] = found
    if "structure" not in where:
        ending = [i for i, name in enumerate(names) if re.fullmatch(r"\w+(smiles|_smi)", name)]
        if ending:
            where["structure"] = ending
    return where


def _by_role(data: dict[str, str], columns: dict[str, str]) -> dict[str, str]:
    """The SD fields of a record by role; ``columns`` learns which field stood for which role."""
    names = {_normal(name): name for name in data}
    cells: dict[str, str] = {}
    for role, known in ROLES.items():
        field_name = next((names[name] for name in known if name in names and data[names[name]]), None)
        if field_name is not None:
            cells[role] = data[field_name]
            columns.setdefault(role, field_name)
    return cells


def _split_names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in re.split(r"[|\n]", text) if name.strip())


def _texts(text: str) -> tuple[str, ...]:
    joined = " ".join(text.split())
    return (joined,) if joined else ()


def _one_line(text: str) -> str:
    return " ".join(text.split())
