"""``python -m mlcore train retrieval``."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from mlcore.runtime.errors import InputError
from mlcore.runtime.progress import TerminalProgress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        action="append",
        required=True,
        metavar="PATH",
        help="a table of SMILES and description; repeat",
    )
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--preset", default="cpu", help="cpu (default), small or gpu")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a parameter; model.KEY for the network",
    )
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    parser.add_argument("--device", default="", help="cpu or cuda; by default cuda where there is one")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves torch's choice")


def run(args: argparse.Namespace) -> int:
    import torch

    from mlcore.retrieval.presets import PRESETS
    from mlcore.retrieval.train import train

    if args.preset not in PRESETS:
        raise InputError(f"There is no preset '{args.preset}'.", remedy=f"Choose from {', '.join(PRESETS)}.")
    config = PRESETS[args.preset]
    for pair in args.set:
        config = changed(config, pair)
    if args.threads:
        torch.set_num_threads(args.threads)
    device = args.device or ("cuda" if torch.cuda.is_available() else "cpu")
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "config.json").write_text(json.dumps(asdict(config), indent=1))
    progress = TerminalProgress("retrieval")
    measured = train(
        config, [Path(path) for path in args.data], args.out, progress, resume=args.resume, device=device
    )
    print(json.dumps({"tuning": measured, "out": str(args.out)}))
    return 0


def changed(config: Any, pair: str) -> Any:
    """A frozen dataclass with one field set from ``key=value`` (``outer.inner=value`` reaches a nested one)."""
    key, found, text = pair.partition("=")
    known = {field.name: field for field in fields(config)}
    outer, _, inner = key.partition(".")
    if not found or outer not in known:
        raise InputError(
            f"There is no parameter '{key}'.", field="--set", remedy=f"Choose from {', '.join(known)}."
        )
    value = getattr(config, outer)
    if is_dataclass(value):
        return replace(config, **{outer: changed(value, f"{inner}={text}")})
    try:
        parsed = json.loads(text.lower()) if isinstance(value, bool) else type(value)(text)
    except ValueError as fault:
        raise InputError(
            f"'{text}' is not a value of '{key}'.", field="--set", remedy=f"It is {value!r} by default."
        ) from fault
    return replace(config, **{outer: parsed})
