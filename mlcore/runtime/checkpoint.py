"""Checkpoints as safetensors plus JSON, written so that a kill at any moment leaves the last good one in place."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

_TENSORS, _META = "state.safetensors", "state.json"
_FULL = (errno.ENOSPC, errno.EDQUOT)


class DiskFull(OSError):
    """A checkpoint had no room on the disk, or in the user's quota of it; the one before it is intact."""


def save(
    folder: Path,
    model: nn.Module,
    optimizers: Mapping[str, Optimizer],
    tensors: Mapping[str, Tensor],
    meta: Mapping[str, Any],
) -> None:
    """Write model, optimiser states, further ``tensors``, torch's random state and JSON-able ``meta`` to ``folder``.

    ``meta["step"]`` names the checkpoint. What was written is on the disk before the one before it is removed.

    Raises:
        DiskFull: there was no room. Nothing of the new checkpoint is left, and the last good one still counts.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stored = {f"model/{name}": value for name, value in model.state_dict().items()}
    stored |= {f"extra/{name}": value for name, value in tensors.items()}
    stored["rng"] = torch.get_rng_state()
    scalars: dict[str, dict[str, float]] = {}
    for name, optimizer in optimizers.items():
        for number, state in optimizer.state_dict()["state"].items():
            for key, value in state.items():
                place = f"optimizer/{name}/{number}/{key}"
                if isinstance(value, Tensor):
                    stored[place] = value
                else:
                    scalars[place] = value
    name = f"{_TENSORS}.{meta['step']}"
    with _room(folder, meta["step"]):
        part = folder / f"{name}.part"
        save_file(_apart({key: value.detach().contiguous().cpu() for key, value in stored.items()}), part)
        _settle(part, folder / name)
        part = folder / f"{_META}.part"
        part.write_text(json.dumps({**meta, "tensors": name, "scalars": scalars}))
        _settle(part, folder / _META)  # the JSON names its tensors: from here on the new checkpoint counts
    _tidy(folder, name)


def _apart(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """``tensors`` without shared memory, which safetensors refuses: tied weights are written once for each name."""
    seen: set[int] = set()
    for name, value in tensors.items():
        if value.numel() and value.data_ptr() in seen:
            tensors[name] = value.clone()
        seen.add(value.data_ptr())
    return tensors


def _settle(part: Path, final: Path) -> None:
    """Put ``part`` on the disk and give it its name, in this order whatever happens to the machine."""
    with part.open("rb") as handle:
        os.fsync(handle.fileno())
    part.replace(final)
    place = os.open(final.parent, os.O_RDONLY)
    try:
        os.fsync(place)
    finally:
        os.close(place)


@contextmanager
def _room(folder: Path, step: int) -> Iterator[None]:
    try:
        yield
    except (OSError, SafetensorError) as fault:
        if not _is_full(fault):
            raise
        counts = json.loads((folder / _META).read_text())["tensors"] if exists(folder) else ""
        _tidy(folder, counts)
        free = shutil.disk_usage(folder).free
        last = (
            f"The last good one, {counts}, is intact: make room and resume."
            if counts
            else "There is none before it."
        )
        raise DiskFull(
            errno.ENOSPC, f"The disk is full: no room for the checkpoint of step {step} ({free:,} bytes free). {last}",
            str(folder),
        ) from fault  # fmt: skip


def _is_full(fault: Exception) -> bool:
    if isinstance(fault, OSError):
        return fault.errno in _FULL
    code = re.search(
        r"\(os error (\d+)\)", str(fault)
    )  # what is left of an OSError that safetensors' Rust met
    return code is not None and int(code[1]) in _FULL


def _tidy(folder: Path, name: str) -> None:
    """Remove all files of checkpoints but the JSON and the tensors ``name``; safetensors writes to ``.tmp…`` first."""
    for old in folder.iterdir():
        if old.name not in (name, _META) and old.name.startswith((_TENSORS, _META, ".tmp")):
            old.unlink()


def exists(folder: Path) -> bool:
    return (folder / _META).exists()


def load(
    folder: Path, model: nn.Module, optimizers: Mapping[str, Optimizer]
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Restore what :func:`save` wrote; returns its ``meta`` and its ``tensors``."""
    meta = json.loads((folder / _META).read_text())
    stored = load_file(folder / meta["tensors"])
    model.load_state_dict({k.removeprefix("model/"): v for k, v in stored.items() if k.startswith("model/")})
    for name, optimizer in optimizers.items():
        state: dict[int, dict[str, Any]] = {}
        prefix = f"optimizer/{name}/"
        found = {k: v for k, v in stored.items() if k.startswith(prefix)}
        found |= {k: v for k, v in meta["scalars"].items() if k.startswith(prefix)}
        for place, value in found.items():
            number, key = place.removeprefix(prefix).split("/")
            state.setdefault(int(number), {})[key] = value
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    torch.set_rng_state(stored["rng"])
    extra = {k.removeprefix("extra/"): v for k, v in stored.items() if k.startswith("extra/")}
    return meta, extra
