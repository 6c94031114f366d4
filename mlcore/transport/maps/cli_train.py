"""``python -m mlcore train monge``: learn the map that carries one cloud of points onto another at the least cost."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from mlcore.runtime import training
from mlcore.runtime.progress import TerminalProgress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    training.add_arguments(
        parser,
        data="source=FILE and target=FILE (.npy, .npz, .csv, .parquet), or one .npz with both",
        metavar="[NAME=]PATH",
    )


def run(args: argparse.Namespace) -> int:
    from mlcore.transport.maps.data import read_clouds
    from mlcore.transport.maps.presets import PRESETS
    from mlcore.transport.maps.training import train

    config = training.configured(PRESETS, args.preset, args.set)
    device = training.device_of(args)
    paths = {}
    for number, given in enumerate(args.data):
        name, found, path = given.partition("=")
        paths[name if found else str(number)] = Path(path if found else given)
    source, target = read_clouds(paths)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "training.json").write_text(json.dumps(asdict(config), indent=1) + "\n")
    measured = train(
        config, source, target, args.out, TerminalProgress("monge"), resume=args.resume, device=device
    )
    if "verdict" in measured:
        print(measured["verdict"])
    print(json.dumps({**measured, "out": str(args.out)}))
    return 0
