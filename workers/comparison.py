"""What tells versions apart: parameters, and what they were made with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from workers import registry
from workers.models import ModelVersion


def differences(configurations: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[Any]]]:
    """Parameters that are not the same in all of ``configurations``: dotted name and each value, None if absent."""
    flat = [_flat(each) for each in configurations]
    names = sorted({name for each in flat for name in each})
    rows = [(name, [each.get(name) for each in flat]) for name in names]
    return [(name, values) for name, values in rows if any(value != values[0] for value in values)]


def configuration(version: ModelVersion) -> dict[str, Any]:
    """What a version was made with: the ``config.json`` beside it and its job's parameters."""
    try:
        config = json.loads((registry.resolve(version.folder) / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        config = {}
    job = version.job.parameters if version.job is not None else {}
    return {"model": config, "job": job, "training": version.card.get("training", {})}


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, value in values.items():
        out |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return out
