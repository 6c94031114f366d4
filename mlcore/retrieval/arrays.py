"""Append-only ``.npy`` files and ragged int8 arrays: what a library keeps of the model's numbers."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from mlcore.runtime.errors import LibraryError

_HEADER = 128


def _header(dtype: np.dtype, shape: tuple[int, ...]) -> bytes:
    described = np.lib.format.dtype_to_descr(dtype)
    text = f"{{'descr': {described!r}, 'fortran_order': False, 'shape': {shape!r}, }}"
    prefix = np.lib.format.magic(1, 0)
    room = _HEADER - len(prefix) - 2
    body = text.ljust(room - 1) + "\n"
    return prefix + (room).to_bytes(2, "little") + body.encode("latin-1")


class ArrayWriter:
    """Rows appended to a ``.npy`` file that is valid after :meth:`close` and can be cut back to any length.

    ``width`` is the number of columns, ``None`` for a one-dimensional array. Rows beyond ``rows`` that an
    interrupted run left behind are cut off on opening, so that the file always continues where it was
    committed.
    """

    def __init__(self, path: Path, dtype: str, width: int | None, rows: int = 0) -> None:
        self._dtype = np.dtype(dtype)
        self._tail: tuple[int, ...] = () if width is None else (width,)
        self._row_bytes = self._dtype.itemsize * (1 if width is None else width)
        self.rows = rows
        end = _HEADER + rows * self._row_bytes
        created = not path.exists()
        self._file = path.open("wb" if created else "r+b")
        if created:
            self._file.write(_header(self._dtype, (0, *self._tail)))
        self._file.flush()
        if os.fstat(self._file.fileno()).st_size < end:
            self._file.close()
            raise LibraryError(
                f"{path} is shorter than the {rows} rows recorded for it: something else changed it. "
                "Start the import over, without --resume."
            )
        self._file.truncate(end)
        self._file.seek(end)

    def append(self, values: np.ndarray) -> None:
        """Append ``values`` of shape ``(n, width)``, or ``(n,)`` for a one-dimensional array."""
        if values.shape[1:] != self._tail:
            raise ValueError(f"rows of shape {values.shape[1:]} do not fit a file of {self._tail}")
        self._file.write(np.ascontiguousarray(values, dtype=self._dtype).tobytes())
        self.rows += len(values)

    def sync(self) -> None:
        """Put everything appended so far on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Write the final shape into the header; the file is then an ordinary ``.npy``."""
        self._file.seek(0)
        self._file.write(_header(self._dtype, (self.rows, *self._tail)))
        self.sync()
        self._file.close()

    def abandon(self) -> None:
        """Close without finishing the header (after a fault: the run can be resumed)."""
        try:
            self._file.close()
        except OSError:
            return


def quantise(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows ``(n, width)`` float32 as int8 with one float16 scale a row: ``values ~ int8 * scale``.

    The error of an entry is at most half a scale, where a scale is the row's largest absolute value / 127
    (rounded up to float16).
    """
    largest = np.abs(values).max(axis=1, initial=0.0).astype(np.float32)
    scale = (largest / 127).astype(np.float16)
    short = scale.astype(np.float32) * 127 < largest
    scale[short] = np.nextafter(scale[short], np.float16(np.inf))
    divisor = np.where(scale > 0, scale, 1).astype(np.float32)
    return np.rint(values / divisor[:, None]).astype(np.int8), scale


def dequantise(values: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Undo :func:`quantise`: ``(n, width)`` float32."""
    return values.astype(np.float32) * scale.astype(np.float32)[:, None]


#: CPython 3.11 counts the depth of syntax trees for the whole process: two threads that read an array's header at once
#: (numpy parses it as Python) can make it raise "AST constructor recursion depth mismatch"
_reading = threading.Lock()


def load_array(path: Path, *, mmap_mode: Literal["r"] | None = None) -> np.ndarray:
    """``numpy.load`` of one array without pickle, safe for many threads."""
    with _reading:
        return np.load(path, mmap_mode=mmap_mode, allow_pickle=False)


@dataclass(frozen=True)
class RaggedArray:
    """``n`` groups of int8 rows one after the other; memory-mapped, read only."""

    values: np.ndarray  # (all rows, width) int8
    scales: np.ndarray  # (all rows,) float16
    offsets: np.ndarray  # (n + 1,) int64

    @classmethod
    def open(cls, folder: Path, stem: str) -> RaggedArray:
        """Map ``<stem>s.npy``, ``<stem>_scales.npy`` and ``<stem>_offsets.npy`` of ``folder``."""
        return cls(
            load_array(folder / f"{stem}s.npy", mmap_mode="r"),
            load_array(folder / f"{stem}_scales.npy", mmap_mode="r"),
            load_array(folder / f"{stem}_offsets.npy"),
        )

    def take(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The groups at ``indices`` (m,): rows (all, width) float32 and their offsets (m + 1,) int64."""
        starts = self.offsets[indices]
        lengths = self.offsets[indices + 1] - starts
        offsets = np.zeros(len(indices) + 1, dtype=np.int64)
        np.cumsum(lengths, out=offsets[1:])
        rows = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
        return dequantise(self.values[rows], self.scales[rows]), offsets


class RaggedWriter:
    """Appends groups of float32 rows, quantised, to the three files of a :class:`RaggedArray`."""

    def __init__(self, folder: Path, stem: str, width: int, groups: int = 0, rows: int = 0) -> None:
        self._values = ArrayWriter(folder / f"{stem}s.npy", "int8", width, rows)
        self._scales = ArrayWriter(folder / f"{stem}_scales.npy", "float16", None, rows)
        self._offsets = ArrayWriter(
            folder / f"{stem}_offsets.npy", "int64", None, groups + 1 if groups else 0
        )
        if not groups:
            self._offsets.append(np.zeros(1, dtype=np.int64))

    @property
    def rows(self) -> int:
        """Rows of all groups together."""
        return self._values.rows

    def append(self, values: np.ndarray, offsets: np.ndarray) -> None:
        """Append groups: ``values`` (all rows, width) float32, ``offsets`` (n + 1,) starting at 0."""
        before = self._values.rows
        whole, scale = quantise(values)
        self._values.append(whole)
        self._scales.append(scale)
        self._offsets.append(np.asarray(offsets[1:], dtype=np.int64) + before)

    def parts(self) -> tuple[ArrayWriter, ArrayWriter, ArrayWriter]:
        """The three files, for syncing and closing."""
        return self._values, self._scales, self._offsets
