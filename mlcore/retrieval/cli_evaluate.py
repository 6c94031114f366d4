"""``python -m mlcore evaluate retrieval``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from mlcore.runtime.progress import NullProgress, TerminalProgress

_COLUMNS = ("hits@1", "hits@5", "hits@10", "hits@20", "mrr", "mean_rank", "median_rank")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, type=Path)
    parser.add_argument("--queries", required=True, type=Path, help="a table: id, SMILES, description")
    parser.add_argument(
        "--candidates", required=True, type=Path, help="a table: id, SMILES; ids shared with the queries"
    )
    parser.add_argument(
        "--texts", type=Path, help="a table whose descriptions join the pool of molecule to text"
    )
    parser.add_argument(
        "--shortlist", type=int, default=64, help="candidates that are re-ranked; 0: first stage alone"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")


def run(args: argparse.Namespace) -> int:
    from mlcore.retrieval.data import read_table
    from mlcore.retrieval.evaluate import Protocol, evaluate
    from mlcore.retrieval.model import RetrievalModel

    progress = NullProgress() if args.json else TerminalProgress("evaluate")
    result = evaluate(
        RetrievalModel.load(args.model),
        read_table(args.queries),
        read_table(args.candidates),
        read_table(args.texts) if args.texts else [],
        Protocol(shortlist=args.shortlist),
        progress,
    )
    if args.json:
        print(json.dumps(result))
        return 0
    print(f"{'pool':6} {'direction':18} {'stage':9} " + " ".join(f"{name:>11}" for name in _COLUMNS))
    for pool in ("full", "split"):
        for direction, entry in result[pool].items():
            stages = {"first": entry.get("first_stage", entry)} | (
                {"reranked": entry} if "first_stage" in entry else {}
            )
            for stage, figures in stages.items():
                print(
                    f"{pool:6} {direction:18} {stage:9} "
                    + " ".join(f"{figures[name]:11.4f}" for name in _COLUMNS)
                )
            if "reranking" in entry:
                gain = entry["reranking"]["hits@1"]
                low, high = gain["ci95"]
                print(
                    f"       re-ranking adds {gain['gain']:+.4f} Hits@1 (95 % bootstrap {low:+.4f} to {high:+.4f})"
                )
    return 0
