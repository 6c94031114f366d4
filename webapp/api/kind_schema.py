"""The registry of kinds as JSON schemas: what the parameters of a job may be, for programs and for people."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any

from workers import board, kinds
from workers.kinds import Kind

TYPES = {"str": "string", "int": "integer", "float": "number", "bool": "boolean", "dict": "object"}


def described(kind: Kind) -> dict[str, Any]:
    """A kind as JSON: what it is, the schemas of its parameters and presets, and what a new job would meet."""
    return {
        "name": kind.name,
        "title": kind.title,
        "description": kind.description,
        "hours": kind.hours,
        "data": [{"name": slot.name, "help": slot.help, "required": slot.required} for slot in kind.data],
        "parameters": parameters(kind),
        "presets": [{"name": name, "parameters": preset(kind, name)} for name in kind.load_presets()],
        "outlook": board.outlook(kind.name),
    }


def offered() -> list[dict[str, Any]]:
    """Every kind that a person may start."""
    return [described(kind) for kind in kinds.offered()]


def parameters(kind: Kind) -> dict[str, Any]:
    """The schema of ``parameters`` of a job of ``kind``."""
    properties: dict[str, Any] = {}
    required = []
    for entry in fields(kind.parameters):
        properties[entry.name] = {"type": TYPES[str(entry.type).split("[")[0]]}
        if entry.default is not MISSING:
            properties[entry.name]["default"] = entry.default
        elif entry.default_factory is MISSING:
            required.append(entry.name)
    if "data" in properties:
        properties["data"] = _object(
            {slot.name: {"type": "string", "description": slot.help} for slot in kind.data},
            [slot.name for slot in kind.data if slot.required],
        )
    if "preset" in properties:
        properties["preset"]["enum"] = list(kind.load_presets())
    if "overrides" in properties:
        properties["overrides"]["description"] = (
            "Parameters that differ from the preset's: see its schema in presets."
        )
    return _object(properties, required)


def preset(kind: Kind, name: str) -> dict[str, Any]:
    """The schema of ``overrides`` over one preset, whose values are the defaults."""
    return _object({option.name: _property(option) for option in kind.options(name)}, [])


def _property(option: Any) -> dict[str, Any]:
    out = {"type": TYPES[option.type.__name__], "default": option.default, "description": option.help}
    out |= {"enum": list(option.choices)} if option.choices else {}
    out |= {limit: value for limit in ("minimum", "maximum") if (value := getattr(option, limit)) is not None}
    return out


def _object(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }
