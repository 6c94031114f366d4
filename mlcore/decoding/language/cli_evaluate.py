"""``python -m mlcore evaluate lm``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlcore.runtime.errors import InputError, ModelError
from mlcore.runtime.progress import NullProgress, TerminalProgress

if TYPE_CHECKING:
    from mlcore.decoding.language.prompts import Task


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, type=Path)
    parser.add_argument("--pairs", required=True, type=Path, help="a table: id, SMILES, description")
    parser.add_argument("--limit", type=int, metavar="N", help="the first N pairs alone")
    parser.add_argument("--temperature", type=float, default=0.0, help="0 (default): greedy decoding")
    parser.add_argument("--seed", type=int, default=0, help="of the sampling and of the bootstrap")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument(
        "--predictions", type=Path, metavar="FILE", help="a TSV that gets every answer of the model"
    )
    parser.add_argument(
        "--card", type=Path, metavar="DIR", help="a folder with this model: its card.json gets the figures"
    )


def run(args: argparse.Namespace) -> int:
    """Ask the model, measure, write predictions and card where that is asked for, and print."""
    from mlcore.retrieval.data import read_table
    from mlcore.runtime import device
    from mlcore.runtime.weights import fingerprint

    _check(args)
    pairs = read_table(args.pairs)[: args.limit]
    model = fingerprint(args.model)
    if args.card:
        _check_card(args.card, model)

    from mlcore.decoding.language.batches import answers
    from mlcore.decoding.language.evaluate import Bootstrap, evaluate, write_predictions

    progress = NullProgress() if args.json else TerminalProgress("evaluate")
    chosen = device.choose(args.device)

    def generate(task: Task, given: Sequence[str]) -> list[str]:
        return answers(
            args.model, chosen, task, given, temperature=args.temperature, seed=args.seed, progress=progress
        )

    result, predictions = evaluate(
        generate, pairs, progress, model=model, bootstrap=Bootstrap(seed=args.seed)
    )
    result |= {"temperature": args.temperature, "seed": args.seed, "device": chosen}
    if args.predictions:
        write_predictions(args.predictions, pairs, predictions)
    if args.card:
        _record(args, result)
    if args.json:
        print(json.dumps(result))
    else:
        _print(result)
    return 0


def _check(args: argparse.Namespace) -> None:
    """Refuse what would only fail after the model has worked for minutes."""
    if not any(args.model.glob("model*.safetensors")):
        raise ModelError(f"{args.model} holds no model*.safetensors. Give the folder of a model.")
    if args.limit is not None and args.limit < 1:
        raise InputError(f"--limit is {args.limit}.", field="--limit", remedy="Give 1 or more.")
    if not 0.0 <= args.temperature < float("inf"):
        raise InputError(
            f"--temperature is {args.temperature}.", field="--temperature", remedy="Give 0 or more."
        )
    if args.seed < 0:
        raise InputError(f"--seed is {args.seed}.", field="--seed", remedy="Give 0 or more.")
    if args.predictions and not args.predictions.resolve().parent.is_dir():
        raise InputError(
            f"There is no folder {args.predictions.parent}.", field="--predictions", remedy="Make it first."
        )


def _check_card(folder: Path, model: str) -> None:
    """Refuse a card of other weights before anything is measured."""
    from mlcore.runtime import card

    found = str(card.read(folder).get("sha256"))
    if found != model:
        raise InputError(
            f"The card in {folder} is of the weights {found[:12]}, --model holds {model[:12]}.",
            field="--card",
            remedy="Give the folder of the model that is measured.",
        )


def _record(args: argparse.Namespace, result: Mapping[str, Any]) -> None:
    """Write the figures, the command that found them and its data under ``metrics`` of the card in ``args.card``."""
    from mlcore.runtime import card

    command = (
        f"python -m mlcore evaluate lm --model {card.short(args.model)} --pairs {card.short(args.pairs)}"
    )
    command += f" --limit {args.limit}" if args.limit else ""
    command += f" --temperature {args.temperature:g} --seed {args.seed} --device {args.device} --json"
    card.record(args.card, metrics=card.measured(command, {"pairs": args.pairs}, **result))


def _print(result: Mapping[str, Any]) -> None:
    """The figures as a table, with their intervals."""
    print(f"{'direction':15} {'figure':12} {'value':>9}   95 % bootstrap   ({result['pairs']} pairs)")
    for direction in ("text_to_smiles", "smiles_to_text"):
        for name, value in result[direction].items():
            low, high = result["ci95"][direction][name]
            print(f"{direction:15} {name:12} {value:9.4f}   {low:.4f} to {high:.4f}")
    details = result["details"]["text_to_smiles"]
    print(
        f"exact: same InChI; same string {details['exact_string']:.4f}. "
        f"Similarities: over the {details['compared']} valid pairs. RDKit died at {details['failed']}."
    )
    print(result["tokenisation"])
