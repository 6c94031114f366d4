"""Model folders: int8 weights in safetensors shards, a configuration and a card that names their hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from mlcore.runtime.errors import ModelError

SHARD_BYTES = 14_000_000
_SCALE = "#scale"


def quantise(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Matrices of 4,096 entries or more as int8 with one float16 scale a row; the rest as float16."""
    stored: dict[str, Tensor] = {}
    for name, given in weights.items():
        value = given.detach().cpu()
        if value.dim() < 2 or value.numel() < 4096 or not value.is_floating_point():
            stored[name] = value.half() if value.is_floating_point() else value
            continue
        scale = (value.float().abs().amax(dim=-1, keepdim=True) / 127).clamp(min=1e-7).half()
        stored[name] = (value.float() / scale.float()).round().clamp(-127, 127).to(torch.int8)
        stored[name + _SCALE] = scale
    return stored


def dequantise(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of :func:`quantise`, in float32."""
    weights: dict[str, Tensor] = {}
    for name, value in stored.items():
        if name.endswith(_SCALE):
            continue
        if value.dtype == torch.int8:
            weights[name] = value.float() * stored[name + _SCALE].float()
        else:
            weights[name] = value.float() if value.is_floating_point() else value
    return weights


def save_folder(
    folder: Path, weights: Mapping[str, Tensor], config: Mapping[str, Any], card: Mapping[str, Any]
) -> str:
    """Write ``config.json``, the shards and ``card.json`` (last: a folder without it is no model); returns the hash."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "card.json").unlink(missing_ok=True)
    for old in folder.glob("model*.safetensors"):
        old.unlink()
    shards: list[dict[str, Tensor]] = [{}]
    size = 0
    for name, value in quantise(weights).items():
        weight = value.numel() * value.element_size()
        if size + weight > SHARD_BYTES and shards[-1]:
            shards.append({})
            size = 0
        shards[-1][name] = value.contiguous()
        size += weight
    for number, shard in enumerate(shards, start=1):
        name = "model.safetensors" if len(shards) == 1 else f"model-{number}-of-{len(shards)}.safetensors"
        save_file(shard, folder / name)
    (folder / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
    digest = fingerprint(folder)
    write_card(folder, {**card, "sha256": digest})
    return digest


def write_card(folder: Path, card: Mapping[str, Any]) -> None:
    part = folder / "card.json.part"
    part.write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n")
    part.replace(folder / "card.json")


def fingerprint(folder: Path) -> str:
    """sha256 over the weight shards, in the order of their names."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("model*.safetensors")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def load_folder(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any], dict[str, Any]]:
    """Weights (float32), configuration and card of a model folder.

    Raises:
        ModelError: the folder lacks a file, a file cannot be read, or the weights are not those the card names.
    """
    try:
        card = json.loads((folder / "card.json").read_text())
        config = json.loads((folder / "config.json").read_text())
    except (OSError, json.JSONDecodeError) as fault:
        raise ModelError(f"{folder} is not a complete model: {fault}.") from fault
    found = fingerprint(folder)
    if found != card.get("sha256"):
        raise ModelError(
            f"The weights in {folder} have sha256 {found[:12]}…, its card names {str(card.get('sha256'))[:12]}…. "
            "Copy the folder again from where it was made."
        )
    stored: dict[str, Tensor] = {}
    for path in sorted(folder.glob("model*.safetensors")):
        stored |= load_file(path)
    return dequantise(stored), config, card
