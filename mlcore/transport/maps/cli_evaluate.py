"""``python -m mlcore evaluate monge``: a trained map against known images."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, type=Path)
    parser.add_argument(
        "--pairs", required=True, type=Path, help="an .npz with source (n, d) and mapped (n, d)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")


def run(args: argparse.Namespace) -> int:
    from mlcore.transport.maps.data import check_dimension, read_pairs
    from mlcore.transport.maps.model import MongeMap
    from mlcore.transport.maps.scores import against_pairs
    from mlcore.transport.maps.training import model_folder

    model = MongeMap.load(model_folder(args.model))
    source, mapped = read_pairs(args.pairs)
    check_dimension(model, source, args.pairs)
    scores = against_pairs(model, source, mapped)
    if args.json:
        print(json.dumps({**scores, "model": str(args.model)}))
        return 0
    print(f"{'':10} {'L2-UVP %':>10} {'cosine':>8} {'gap':>10}   ({scores['points']} points)")
    for name, row in {"map": scores, **scores["baselines"]}.items():
        print(f"{name:10} {row['l2_uvp']:10.3f} {row['cosine']:8.4f} {row['gap']:10.4g}")
    return 0
