"""``python -m mlcore evaluate retrieval``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlcore.runtime.errors import InputError
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
    parser.add_argument(
        "--card", type=Path, metavar="DIR", help="a folder with this model: its card.json gets the figures"
    )


def run(args: argparse.Namespace) -> int:
    """Measure, write into the card where that is asked for, and print."""
    from mlcore.retrieval.data import read_table
    from mlcore.retrieval.evaluate import Protocol, evaluate
    from mlcore.retrieval.model import RetrievalModel

    progress = NullProgress() if args.json else TerminalProgress("evaluate")
    model = RetrievalModel.load(args.model)
    if args.card:
        _check_card(args.card, model.fingerprint)
    result = evaluate(
        model,
        read_table(args.queries),
        read_table(args.candidates),
        read_table(args.texts) if args.texts else [],
        Protocol(shortlist=args.shortlist),
        progress,
    )
    if args.card:
        _record(args, result)
    if args.json:
        print(json.dumps(result))
    else:
        _print(result)
    return 0


def _check_card(folder: Path, fingerprint: str) -> None:
    """Refuse a card of other weights before anything is measured."""
    from mlcore.runtime import card

    found = str(card.read(folder).get("sha256"))
    if found != fingerprint:
        raise InputError(
            f"The card in {folder} is of the weights {found[:12]}, --model holds {fingerprint[:12]}.",
            field="--card",
            remedy="Give the folder of the model that is measured.",
        )


def _record(args: argparse.Namespace, result: Mapping[str, Any]) -> None:
    """Write the figures, the command that found them and its data under ``metrics`` of the card in ``args.card``."""
    from mlcore.runtime import card

    files = {name: getattr(args, name) for name in ("queries", "candidates", "texts") if getattr(args, name)}
    command = f"python -m mlcore evaluate retrieval --model {card.short(args.model)}"
    command += "".join(f" --{name} {card.short(path)}" for name, path in files.items())
    command += f" --shortlist {args.shortlist} --json"
    card.record(args.card, metrics=card.measured(command, files, **result))


def _print(result: Mapping[str, Any]) -> None:
    """The figures as a table."""
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
