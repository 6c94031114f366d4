"""From a file a person gave to lines of text: gzip or not, UTF-8, UTF-16 or Western European, within limits.

Only the standard library, always streaming: memory does not grow with the file, however long its lines are.
"""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from mlcore.runtime.errors import InputError, LimitError

_BLOCK = 1 << 20
_SAMPLE = 1 << 16
#: how files begin that are often mistaken for a table or an SDF, and what to do about each
_FOREIGN = (
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook", "Unpack it, or save the sheet as CSV."),
    (b"\xd0\xcf\x11\xe0", "an old Office document", "Save the sheet as CSV."),
    (b"%PDF", "a PDF", "Export the table as CSV or the structures as SDF."),
    (b"\x89PNG", "a PNG picture", "Export the structures as SDF or SMILES."),
    (b"\xff\xd8\xff", "a JPEG picture", "Export the structures as SDF or SMILES."),
    (b"PAR1", "a Parquet file", "Save it as CSV."),
    (b"SQLite format 3", "a SQLite database", "Save the table as CSV."),
    (b"BZh", "compressed with bzip2", "Unpack it, or compress it with gzip."),
    (b"\xfd7zXZ", "compressed with xz", "Unpack it, or compress it with gzip."),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "Unpack it, or compress it with gzip."),
    (b"7z\xbc\xaf", "a 7-Zip archive", "Unpack it, or compress it with gzip."),
    (b"VjCD", "a ChemDraw file", "Save it as SDF."),
)


@dataclass(frozen=True)
class Limits:
    """How much one import may ask for. Sizes in bytes, time in seconds of computing for one molecule."""

    file_bytes: int = 2 << 30
    text_bytes: int = 16 << 30
    record_bytes: int = 1 << 20
    atoms: int = 1_000
    seconds: float = 10.0


class Line(NamedTuple):
    """One line without its end; ``fault`` says why its text cannot be used."""

    number: int
    text: str
    fault: str | None = None


class TextSource:
    """The lines of one file. ``notes`` collects what was assumed; ``share`` tells how much of the file is
    read.
    """

    def __init__(self, path: Path, limits: Limits | None = None) -> None:
        """Look at the beginning of ``path``.

        Raises :class:`InputError` when it is missing, empty, a folder or no text, :class:`LimitError` when
        too large.
        """
        self.path = path
        self.limits = limits or Limits()
        self.notes: list[str] = []
        try:
            self.bytes = path.stat().st_size
            with path.open("rb") as file:
                start = file.read(8)
        except OSError as fault:
            raise InputError(
                f"The file {path.name} cannot be read: {fault.strerror or fault}.", field="molecules"
            ) from fault
        if self.bytes > self.limits.file_bytes:
            raise LimitError(
                f"The file {path.name} has {_size(self.bytes)}; {_size(self.limits.file_bytes)} are allowed.",
                field="molecules",
                remedy="Split it, compress it with gzip, or raise the limit.",
            )
        self.gzipped = start.startswith(b"\x1f\x8b")
        self._read = 0
        self._line = 0
        self._odd_lines = 0
        self.sample = b"".join(self._head())
        self._refuse_foreign()
        self.encoding = self._sniff_encoding()
        self.text = self._sample_text()
        if not self.text.strip():
            raise InputError(f"The file {path.name} is empty.", field="molecules")
        self._newline = b"\r" if "\r" in self.text and "\n" not in self.text else b"\n"

    @property
    def share(self) -> float:
        """Fraction of the file that has been read, 0 to 1."""
        return min(1.0, self._read / self.bytes) if self.bytes else 1.0

    def _head(self) -> Iterator[bytes]:
        size = 0
        for block in self._bytes(_SAMPLE):
            yield block
            size += len(block)
            if size >= _SAMPLE:
                return

    def _bytes(self, step: int = _BLOCK) -> Iterator[bytes]:
        """The decompressed bytes of the file, in blocks."""
        total = 0
        with self.path.open("rb") as file:
            stream: BinaryIO = gzip.GzipFile(fileobj=file) if self.gzipped else file  # type: ignore[assignment]
            while True:
                try:
                    block = stream.read(step)
                except EOFError as fault:
                    raise self._damaged("is cut off: the gzip data ends early") from fault
                except (zlib.error, gzip.BadGzipFile) as fault:
                    raise self._damaged("is damaged: the gzip data cannot be unpacked") from fault
                except OSError as fault:
                    raise self._damaged(f"cannot be read: {fault.strerror or fault}") from fault
                self._read = file.tell()
                if not block:
                    return
                total += len(block)
                if total > self.limits.text_bytes:
                    raise LimitError(
                        f"The file {self.path.name} unpacks to more than {_size(self.limits.text_bytes)}.",
                        field="molecules",
                        remedy="Split it, or raise the limit.",
                    )
                yield block

    def _damaged(self, what: str) -> InputError:
        place = f"after line {self._line:,}" if self._line else "at its beginning"
        remedy = "Copy or download it again."
        return InputError(f"The file {self.path.name} {what}.", field="molecules", place=place, remedy=remedy)

    def _refuse_foreign(self) -> None:
        for magic, what, remedy in _FOREIGN:
            if self.sample.startswith(magic):
                raise InputError(f"The file {self.path.name} is {what}.", field="molecules", remedy=remedy)

    def _sniff_encoding(self) -> str:
        sample = self.sample
        if sample.startswith(codecs.BOM_UTF8):
            return "utf-8-sig"
        if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            self.notes.append("The file is UTF-16; it was read as such.")
            return "utf-16"
        half = max(1, len(sample) // 2)
        for start, name in ((1, "utf-16-le"), (0, "utf-16-be")):
            if (
                len(sample) >= 4
                and sample[start::2].count(0) > 0.7 * half
                and 0 not in sample[1 - start :: 2]
            ):
                self.notes.append("The file is UTF-16 without a mark at its beginning; it was read as such.")
                return name
        control = sum(sample.count(byte) for byte in (*range(9), *range(14, 27), *range(28, 32)))
        if control > max(4, 0.02 * len(sample)):
            raise InputError(
                f"The file {self.path.name} is not text.",
                field="molecules",
                remedy="Molecules are read from .smi, .sdf, .csv and .tsv files, plain or gzipped.",
            )
        return "utf-8"

    def _sample_text(self) -> str:
        if self.encoding.startswith("utf-16"):
            return self.sample.decode(self.encoding, errors="replace").lstrip("\ufeff")
        text = self.sample.removeprefix(codecs.BOM_UTF8)
        return text.decode("utf-8", errors="replace")

    def _utf8(self) -> Iterator[bytes]:
        """The file's bytes as UTF-8 (Western European bytes are left for :meth:`_decode`)."""
        if not self.encoding.startswith("utf-16"):
            first = True
            for block in self._bytes():
                yield block.removeprefix(codecs.BOM_UTF8) if first else block
                first = False
            return
        decoder = codecs.getincrementaldecoder(self.encoding)(errors="replace")
        for block in self._bytes():
            yield decoder.decode(block).encode("utf-8")
        yield decoder.decode(b"", final=True).encode("utf-8")

    def lines(self) -> Iterator[Line]:
        """Every line of the file, from the first, whatever its length; raises :class:`InputError` when
        damaged.
        """
        self._line = self._odd_lines = 0
        limit = self.limits.record_bytes
        rest, too_long = b"", False
        for block in self._utf8():
            parts = (rest + block).split(self._newline)
            rest = parts.pop()
            for part in parts:
                yield self._decode(part, too_long or len(part) > limit)
                too_long = False
            if len(rest) > limit:
                rest, too_long = rest[:200], True
        if rest:
            yield self._decode(rest, too_long)
        if self._odd_lines > 1:
            self.notes.append(f"{self._odd_lines:,} lines were not UTF-8 and were read as Windows-1252.")

    def _decode(self, raw: bytes, too_long: bool) -> Line:
        self._line += 1
        number = self._line
        raw = raw.removesuffix(b"\r")
        if too_long:
            text = raw[:200].decode("utf-8", errors="replace")
            return Line(number, text, f"the line is longer than {_size(self.limits.record_bytes)}")
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            self._odd_lines += 1
            if self._odd_lines == 1:
                self.notes.append(
                    f"Line {number:,} is not UTF-8; it was read as Windows-1252 (Western European)."
                )
            try:
                text = raw.decode("cp1252")
            except UnicodeDecodeError:
                text = raw.decode("latin-1")
        if "\0" in text:
            return Line(number, text.replace("\0", "\ufffd"), "the line contains a null byte")
        return Line(number, text)


def _size(count: int) -> str:
    for unit, factor in (("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1 << 10)):
        if count >= factor:
            return f"{count / factor:.4g} {unit}"
    return f"{count} bytes"
