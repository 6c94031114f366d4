"""``python -m mlcore transport monge``: carry the points of a file with a trained map."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from mlcore.runtime.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, type=Path)
    parser.add_argument(
        "--points", required=True, type=Path, help="a .npy, .npz, .csv or .parquet of points (n, d)"
    )
    parser.add_argument("--out", required=True, type=Path, help="where the images go: .npy or .csv")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")


def run(args: argparse.Namespace) -> int:
    import numpy as np

    from mlcore.transport.maps.data import check_dimension, read_table
    from mlcore.transport.maps.model import MongeMap
    from mlcore.transport.maps.training import model_folder

    if args.out.suffix not in {".npy", ".csv"}:
        raise InputError(f"'{args.out.name}' ends in neither .npy nor .csv.", field="--out")
    model = MongeMap.load(model_folder(args.model))
    points = read_table(args.points, "source")
    check_dimension(model, points, args.points)
    images = model.carry(points.to(model.linear.matrix))
    if args.out.suffix == ".npy":
        np.save(args.out, images.numpy())
    else:
        np.savetxt(args.out, images.numpy(), delimiter=",", fmt="%.9g")
    cost = float(model.cost.paired(points.to(images), images).mean())
    if args.json:
        print(json.dumps({"points": len(points), "mean_cost": cost, "out": str(args.out)}))
    else:
        print(f"{len(points)} points carried to {args.out}; mean cost {cost:.6g} ({model.config.cost})")
    return 0
