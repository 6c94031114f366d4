"""``python -m mlcore train lm``: a language model of molecules and their descriptions, and a small draft of it."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from mlcore.runtime import training
from mlcore.runtime.progress import TerminalProgress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    training.add_arguments(parser, data="a table of SMILES and, where there is one, description; repeat")


def run(args: argparse.Namespace) -> int:
    from mlcore.decoding.language.presets import PRESETS
    from mlcore.decoding.language.training import train

    config = training.configured(PRESETS, args.preset, args.set)
    device = training.device_of(args)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "training.json").write_text(json.dumps(asdict(config), indent=1) + "\n")
    paths = [Path(path) for path in args.data]
    measured = train(config, paths, args.out, TerminalProgress("lm"), resume=args.resume, device=device)
    print(json.dumps({"held_out": measured, "out": str(args.out)}))
    return 0
