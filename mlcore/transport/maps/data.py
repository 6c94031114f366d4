"""Clouds and pairs in files, for maps."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mlcore.runtime.errors import InputError
from mlcore.transport.maps.model import MongeMap
from mlcore.transport.pointfiles import read_points

_FORMS = "Give --data source=FILE --data target=FILE, or one .npz with the arrays source and target."


def read_clouds(paths: Mapping[str, Path]) -> tuple[Tensor, Tensor]:
    """Source (n, d) and target (m, d), float32, from files named source and target, or one ``.npz`` by any name.

    Raises:
        InputError: other names, or a file that cannot be read as points.
    """
    if set(paths) == {"source", "target"}:
        return read_table(paths["source"], "source"), read_table(paths["target"], "target")
    if len(paths) == 1 and (path := next(iter(paths.values()))).suffix.lower() == ".npz":
        source, target = _arrays(path, "source", "target")
        return source, target
    raise InputError(f"The data are called {', '.join(paths)}.", field="--data", remedy=_FORMS)


def read_pairs(path: Path) -> tuple[Tensor, Tensor]:
    """Points (n, d) and their true images (n, d), float32.

    Raises:
        InputError: no ``.npz`` with the arrays source and mapped, of one shape.
    """
    source, mapped = _arrays(path, "source", "mapped")
    if source.shape != mapped.shape:
        raise InputError(
            f"Every point needs its image, got {tuple(source.shape)} and {tuple(mapped.shape)}.",
            field="--pairs",
            place=path.name,
        )
    return source, mapped


def read_table(path: Path, side: str) -> Tensor:
    """The points (n, d) of one file, float32; of an ``.npz`` the array called ``side``.

    Raises:
        InputError: the file is missing or damaged, is of another type, or has weights.
    """
    if path.suffix.lower() in {".parquet", ".pq"}:
        return _parquet(path)
    try:
        points, weights = read_points(path.name, _bytes(path), side)
    except InputError as fault:
        raise InputError(
            fault.message, field=fault.field, place=fault.place or path.name, remedy=fault.remedy
        ) from None
    if weights is not None:
        raise InputError(
            f"{path.name} has weights, and a map is learnt from equally weighted points.",
            field="--data",
            remedy="Draw points with the weights as probabilities, and leave the column out.",
        )
    return torch.from_numpy(points).float()


def check_dimension(model: MongeMap, points: Tensor, path: Path) -> None:
    """Raises InputError where ``points`` (n, d) do not have the dimension of the map."""
    if points.shape[1] != model.config.dimension:
        raise InputError(
            f"The points have {points.shape[1]} coordinates and the map {model.config.dimension}.",
            place=path.name,
        )


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as fault:
        raise InputError(
            f"{path} cannot be read: {fault.strerror}.", field="--data", remedy="Check the path."
        ) from fault


def _arrays(path: Path, *names: str) -> list[Tensor]:
    content = _bytes(path)
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            missing = [name for name in names if name not in archive.files]
            if missing:
                raise InputError(
                    f"The file holds {', '.join(archive.files) or 'nothing'}, and no array called "
                    f"{' or '.join(missing)}.",
                    place=path.name,
                    remedy=f"Write it with numpy.savez(path, {', '.join(f'{name}={name}' for name in names)}).",
                )
            found = [np.asarray(archive[name], dtype=np.float32) for name in names]
    except InputError:
        raise
    except (OSError, ValueError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as fault:
        raise InputError(
            "The file is no readable .npz of numbers.", place=path.name, remedy="Write it with numpy.savez."
        ) from fault
    for name, array in zip(names, found, strict=True):
        if array.ndim != 2 or 0 in array.shape:
            raise InputError(
                f"'{name}' must be a table (points, coordinates), got {array.shape}.", place=path.name
            )
    return [torch.from_numpy(array) for array in found]


def _parquet(path: Path) -> Tensor:
    content = _bytes(path)
    try:
        from pyarrow import parquet
    except ImportError as fault:
        raise InputError(
            "Parquet files are read by pyarrow, which is not installed.",
            place=path.name,
            remedy="pip install 'ferry[train]', or write the points as .npy.",
        ) from fault
    try:
        table = parquet.read_table(io.BytesIO(content))
        columns = [table.column(name).to_numpy() for name in table.column_names]
        return torch.from_numpy(np.stack(columns, 1).astype(np.float32))
    except Exception as fault:  # pyarrow has its own family, and a column may hold anything
        raise InputError(
            "The file is no readable Parquet table of numbers.",
            place=path.name,
            remedy="Write one float column for each coordinate.",
        ) from fault
