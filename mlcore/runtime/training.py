"""What every ``train`` command and every training job shares: arguments, presets, and changes to them."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlcore.runtime.errors import InputError
from mlcore.runtime.options import checked, described


def add_arguments(parser: argparse.ArgumentParser, *, data: str, metavar: str = "PATH") -> None:
    """The arguments of a ``train`` command; ``data`` says what ``--data`` is."""
    parser.add_argument("--data", action="append", required=True, metavar=metavar, help=data)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--preset", default="cpu", help="cpu (default), small or gpu")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a parameter; OUTER.KEY for one that is nested",
    )
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    parser.add_argument("--device", default="", help="cpu or cuda; by default cuda where there is one")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves torch's choice")


def device_of(args: argparse.Namespace) -> str:
    """Set the threads that ``args`` ask for, and the device to train on."""
    import torch

    if args.threads:
        torch.set_num_threads(args.threads)
    return args.device or ("cuda" if torch.cuda.is_available() else "cpu")


def configured(presets: Mapping[str, Any], preset: str, pairs: Iterable[str] = ()) -> Any:
    """The frozen dataclass of ``preset`` with every ``key=value`` of ``pairs`` set.

    Raises:
        InputError: no such preset or parameter, or a value of another type.
    """
    if preset not in presets:
        raise InputError(
            f"There is no preset '{preset}'.", field="preset", remedy=f"Choose from {', '.join(presets)}."
        )
    config = presets[preset]
    for pair in pairs:
        config = changed(config, pair)
    return config


def changed(config: Any, pair: str) -> Any:
    """A frozen dataclass with one field set from ``key=value`` (``outer.inner=value`` reaches a nested one).

    Raises:
        InputError: no such parameter, or a value of another type or outside its limits.
    """
    key, found, text = pair.partition("=")
    known = {wanted.name: wanted for wanted in described(config)}
    if not found or key not in known:
        close = difflib.get_close_matches(key, known, n=1)
        hint = f"Did you mean '{close[0]}'? " if close else ""
        raise InputError(
            f"There is no parameter '{key}'.", field=key, remedy=f"{hint}Choose from {', '.join(known)}."
        )
    return _with(config, key, checked(known[key], text))


def _with(config: Any, key: str, value: Any) -> Any:
    outer, _, inner = key.partition(".")
    return replace(config, **{outer: _with(getattr(config, outer), inner, value) if inner else value})
