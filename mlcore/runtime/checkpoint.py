"""Checkpoints as safetensors plus JSON, written so that a kill at any moment leaves the last good one in place."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

_TENSORS, _META = "state.safetensors", "state.json"


def save(
    folder: Path,
    model: nn.Module,
    optimizers: Mapping[str, Optimizer],
    tensors: Mapping[str, Tensor],
    meta: Mapping[str, Any],
) -> None:
    """Write model, optimiser states, further ``tensors``, torch's random state and JSON-able ``meta`` to ``folder``."""
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
    save_file(
        {key: value.detach().contiguous().cpu() for key, value in stored.items()}, folder / f"{name}.part"
    )
    (folder / f"{name}.part").replace(folder / name)
    part = folder / f"{_META}.part"
    part.write_text(json.dumps({**meta, "tensors": name, "scalars": scalars}))
    with part.open() as handle:
        os.fsync(handle.fileno())
    part.replace(folder / _META)  # the JSON names its tensors: from here on the new checkpoint counts
    for old in folder.glob(f"{_TENSORS}.*"):
        if old.name != name:
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
