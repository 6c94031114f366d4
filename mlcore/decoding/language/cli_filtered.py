"""``python -m mlcore train filtered``: tune the language model towards a reward by the best of its own samples."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from mlcore.runtime import training
from mlcore.runtime.errors import InputError
from mlcore.runtime.progress import TerminalProgress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    training.add_arguments(parser, data="a table of SMILES and description; repeat")
    parser.add_argument("--model", type=Path, default=Path("models/lm-target"), help="the model to tune")
    parser.add_argument("--reward", default='{"name": "qed"}', help='a reward, as JSON: {"name": "qed"}')


def run(args: argparse.Namespace) -> int:
    from mlcore.decoding.language.filtered import PRESETS, train
    from mlcore.decoding.rewards import build
    from mlcore.retrieval.data import read_table

    config = training.configured(PRESETS, args.preset, args.set)
    device = training.device_of(args)
    try:
        reward = build(json.loads(args.reward))
    except json.JSONDecodeError as fault:
        raise InputError(f"The reward is no JSON: {fault}.", field="reward") from fault
    rows = [row for path in args.data for row in read_table(path) if row.description.strip()]
    args.out.mkdir(parents=True, exist_ok=True)
    measured = train(config, args.model, rows, reward, args.out, TerminalProgress("filtered"), device=device)
    print(json.dumps({"metrics": measured, "out": str(args.out)}))
    return 0
