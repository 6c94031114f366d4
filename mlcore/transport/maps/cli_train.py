"""``python -m mlcore train monge``: learn the map that carries one cloud of points onto another at the least cost."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from mlcore.runtime.errors import InputError
from mlcore.runtime.progress import TerminalProgress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        action="append",
        required=True,
        metavar="[NAME=]PATH",
        help="source=FILE and target=FILE (.npy, .npz, .csv, .parquet), or one .npz with both",
    )
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--preset", default="cpu", help="cpu (default), small or gpu")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a parameter")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    parser.add_argument("--device", default="", help="cpu or cuda; by default cuda where there is one")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves torch's choice")


def run(args: argparse.Namespace) -> int:
    import torch

    from mlcore.retrieval.cli_train import changed
    from mlcore.transport.maps.data import read_clouds
    from mlcore.transport.maps.fitting import PRESETS
    from mlcore.transport.maps.training import train

    if args.preset not in PRESETS:
        raise InputError(f"There is no preset '{args.preset}'.", remedy=f"Choose from {', '.join(PRESETS)}.")
    config = PRESETS[args.preset]
    for pair in args.set:
        config = changed(config, pair)
    if args.threads:
        torch.set_num_threads(args.threads)
    device = args.device or ("cuda" if torch.cuda.is_available() else "cpu")
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
