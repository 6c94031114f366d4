"""``python -m mlcore train retrieval``; under ``torchrun`` several processes train one model together."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from mlcore.runtime import training
from mlcore.runtime.progress import NullProgress, Progress, TerminalProgress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    training.add_arguments(parser, data="a table of SMILES and description; repeat")
    parser.add_argument(
        "--timeout",
        type=float,
        default=1800.0,
        metavar="SECONDS",
        help="under torchrun: how long a process waits for the others before it gives them up; default 1800",
    )


def run(args: argparse.Namespace) -> int:
    from mlcore.retrieval.presets import PRESETS
    from mlcore.retrieval.train import train
    from mlcore.runtime import distributed

    config = training.configured(PRESETS, args.preset, args.set)
    try:
        with distributed.joined(training.device_of(args), args.timeout) as device:
            progress: Progress = NullProgress()
            if distributed.main():
                progress = TerminalProgress("retrieval")
                args.out.mkdir(parents=True, exist_ok=True)
                (args.out / "config.json").write_text(json.dumps(asdict(config), indent=1))
            measured = train(
                config,
                [Path(path) for path in args.data],
                args.out,
                progress,
                resume=args.resume,
                device=device,
            )
            if distributed.main():
                print(json.dumps({"tuning": measured, "out": str(args.out)}))
    except distributed.PeerError as fault:
        print(f"mlcore: {fault}", file=sys.stderr)
        return 3
    return 0
