"""Points in files: ``.csv``, ``.npy`` and ``.npz``, read without trusting them. Nothing is ever unpickled."""

from __future__ import annotations

import csv
import io
import math
import re
import zipfile
from pathlib import PurePath
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from mlcore.runtime.errors import InputError

Array = NDArray[np.float64]
#: columns of a table that hold weights
WEIGHT_COLUMNS = ("weights", "weight", "mass", "w")
#: arrays of an archive, those of either side first; a problem that the laboratory wrote has x, y, a, b
POINT_NAMES = {"source": ("source", "x", "points"), "target": ("target", "y", "points")}
WEIGHT_NAMES = {
    "source": ("source_weights", "a", "weights", "weight"),
    "target": ("target_weights", "b", "weights", "weight"),
}
LARGEST_MEMBER = 4_000_000_000
_REMEDY = "Write it with numpy.save('points.npy', points) with points of the shape (n, d)."


def read_points(name: str, content: bytes, side: str = "source") -> tuple[Array, Array | None]:
    """Points (n, d) and, where the file has them, weights (n,).

    A ``.csv`` may have a header; a column called weight holds the weights, all others are coordinates. An ``.npz`` has
    ``points`` or an array named after the ``side`` (or only one array that is a table), and perhaps ``weights``.

    Raises:
        InputError: the file is damaged, cut off, of another type, or holds no table of numbers.
    """
    ending = PurePath(name).suffix.lower()
    if not content:
        raise InputError("the file is empty", field="file", remedy="Send the points.")
    if ending == ".npy":
        return _table(_array(content, name), name), None
    if ending == ".npz":
        return _archive(content, name, side)
    if ending in {".csv", ".tsv", ".txt"}:
        return read_text(content)
    raise InputError(
        f"files that end in '{ending[:12]}' are not read",
        field="file",
        place=name[:80],
        remedy="Send .csv, .npy or .npz.",
    )


def read_text(content: bytes | str) -> tuple[Array, Array | None]:
    """The same from lines of numbers, separated by commas, semicolons, tabs or blanks; ``#`` begins a comment line.

    Raises:
        InputError: a line that is not like the others, naming it.
    """
    if isinstance(content, bytes):
        try:
            content = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise InputError(
                "the file is no text in UTF-8", field="file", remedy="Save it as CSV with UTF-8 encoding."
            ) from None
    lines = [
        (number, _cells(line))
        for number, line in enumerate(content.splitlines(), 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not lines:
        raise InputError(
            "there are no points", field="points", remedy="Write one point a line, for example 0.5, 1.2."
        )
    header = None if all(_number(cell) is not None for cell in lines[0][1]) else lines.pop(0)[1]
    if not lines:
        raise InputError("there is a header but no point below it", field="points", remedy="Add the points.")
    weight = _weight_column(header)
    width = len(header or lines[0][1])
    table = np.empty((len(lines), width))
    for row, (number, cells) in enumerate(lines):
        if len(cells) != width:
            raise InputError(
                f"{len(cells)} values where the lines above have {width}",
                field="points",
                place=f"line {number}",
                remedy="Give every line the same number of values.",
            )
        for column, cell in enumerate(cells):
            value = _number(cell)
            if value is None or not math.isfinite(value):
                raise InputError(
                    f"'{cell[:30]}' is not a number",
                    field="points",
                    place=f"line {number}, column {column + 1}",
                    remedy="Write numbers with a point, as 0.5.",
                )
            table[row, column] = value
    if weight is None:
        return table, None
    if width == 1:
        raise InputError(
            "there are weights but no coordinates", field="points", remedy="Add a coordinate column."
        )
    return np.delete(table, weight, axis=1), table[:, weight]


def _cells(line: str) -> list[str]:
    for separator in (",", ";", "\t"):
        if separator in line:
            return [cell.strip() for cell in next(csv.reader([line], delimiter=separator))]
    return re.split(r"\s+", line.strip())


def _number(cell: str) -> float | None:
    try:
        return float(cell.replace("−", "-"))
    except ValueError:
        return None


def _weight_column(header: list[str] | None) -> int | None:
    names = [cell.lower() for cell in header or ()]
    return next((names.index(name) for name in WEIGHT_COLUMNS if name in names), None)


def _archive(content: bytes, name: str, side: str) -> tuple[Array, Array | None]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = {PurePath(info.filename).stem: info for info in archive.infolist() if not info.is_dir()}
            if sum(info.file_size for info in members.values()) > LARGEST_MEMBER:
                raise InputError(
                    "the archive unpacks to too much", field="file", place=name[:80], remedy="Send less."
                )
            arrays = {
                key: _array(_unpacked(archive, info), f"{name[:60]}: {key}")
                for key, info in members.items()
                if key in {*POINT_NAMES[side], *WEIGHT_NAMES[side]} or len(members) == 1
            }
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, OSError):
        raise InputError(
            "the archive is damaged or cut off",
            field="file",
            place=name[:80],
            remedy="Write it again with numpy.savez.",
        ) from None
    key = next((key for key in POINT_NAMES[side] if key in arrays), None)
    if key is None and len(arrays) == 1:
        key = next(iter(arrays))
    if key is None:
        raise InputError(
            f"the archive holds {', '.join(sorted(members))[:120] or 'nothing'}, and no array called points or {side}",
            field="file",
            place=name[:80],
            remedy="Write it with numpy.savez('points.npz', points=points, weights=weights).",
        )
    weights = next((arrays[each] for each in WEIGHT_NAMES[side] if each in arrays), None)
    return _table(arrays[key], name), None if weights is None else weights.astype(np.float64)


def _unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """One member; what it announces is not believed, so a bomb ends at the announced size."""
    with archive.open(info) as stream:
        return stream.read(info.file_size + 1)


def _array(content: bytes, name: str) -> NDArray[Any]:
    """One array of a ``.npy``. Its header is checked against the bytes there are before anything is reserved."""
    stream = io.BytesIO(content)
    try:
        version = npy.read_magic(stream)
        read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, kind = read_header(stream)
    except (ValueError, EOFError, SyntaxError, KeyError, TypeError, TokenError):
        raise InputError(
            "this is no .npy file, or its header is damaged", field="file", place=name[:80], remedy=_REMEDY
        ) from None
    if kind.hasobject or kind.kind not in "fiu":
        what = "Python objects, which are never read" if kind.hasobject else f"values of the type {kind}"
        raise InputError(
            f"the array holds {what}", field="file", place=name[:80], remedy="Save it as float64."
        )
    needed, there = math.prod(shape) * kind.itemsize, len(content) - stream.tell()
    if there < needed:
        raise InputError(
            f"the file is cut off: its header announces {needed:,} bytes of numbers and {there:,} are there",
            field="file",
            place=name[:80],
            remedy="Copy the file again.",
        )
    stream.seek(0)
    return np.lib.format.read_array(stream, allow_pickle=False)


def _table(array: NDArray[Any], name: str) -> Array:
    if array.ndim not in {1, 2} or 0 in array.shape:
        raise InputError(
            f"the array has the shape {tuple(array.shape)}, and a table (points, coordinates) is needed",
            field="file",
            place=name[:80],
            remedy=_REMEDY,
        )
    return array.astype(np.float64).reshape(len(array), -1)
