"""Tables of molecules: the heading is recognised, cells may be quoted over several lines, a broken row stays alone."""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain

from mlcore.retrieval.records import INCHI, ROLES, STRUCTURE, RawRecord, normal, one_line, split_names, texts
from mlcore.retrieval.sources import Line, TextSource
from mlcore.runtime.errors import InputError

#: the columns a file to mend has more than its original
MEND_COLUMNS = ("refused_line", "refused_reason")
_DELIMITERS = "\t,;|"
_QUOTED_LINES = 1_000


def no_structures(source: TextSource) -> InputError:
    """The fault of a table none of whose columns holds structures, with the names of those it has."""
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
            where = _columns([normal(cell) for cell in cells])
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
            tuple(name for i in self._where.get("synonyms", ()) for name in split_names(cells[i])),
            tuple(text for i in self._where.get("description", ()) for text in texts(cells[i])),
            cell("category"), cell("source"),
            fault=None if structure else f"the cell '{self.columns[role]}' is empty",
        )  # fmt: skip

    def mend_header(self) -> str:
        """The heading with two more columns."""
        kept = [name for name in self.header if normal(name) not in MEND_COLUMNS]
        return self._written([*kept, *MEND_COLUMNS])

    def mend(self, record: RawRecord, reason: str) -> str:
        """The row's cells, then its line in the original and the reason."""
        try:
            cells = self._cells(record.raw)
        except csv.Error:
            cells = record.raw.split(self.delimiter)
        cells += [""] * (len(self.header) - len(cells))
        dropped = {i for i, name in enumerate(self.header) if normal(name) in MEND_COLUMNS}
        kept = [cell for i, cell in enumerate(cells) if i not in dropped]
        return self._written([*kept, str(record.line), one_line(reason)])

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
