"""``python -m mlcore train retrieval``."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from mlcore.runtime import training
from mlcore.runtime.progress import TerminalProgress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    training.add_arguments(parser, data="a table of SMILES and description; repeat")


def run(args: argparse.Namespace) -> int:
    from mlcore.retrieval.presets import PRESETS
    from mlcore.retrieval.train import train

    config = training.configured(PRESETS, args.preset, args.set)
    device = training.device_of(args)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "config.json").write_text(json.dumps(asdict(config), indent=1))
    progress = TerminalProgress("retrieval")
    measured = train(
        config, [Path(path) for path in args.data], args.out, progress, resume=args.resume, device=device
    )
    print(json.dumps({"tuning": measured, "out": str(args.out)}))
    return 0
