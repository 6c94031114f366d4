"""``python -m mlcore calibrate retrieval``: fit how the channels of a search are weighed, and how sure it may be."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mlcore.runtime.progress import NullProgress, TerminalProgress

#: lay queries over the catalogue, and for what it does not hold, written for tuning
LAY = Path(__file__).with_name("tuning") / "lay_queries.tsv"
ABSENT = LAY.with_name("absent_queries.tsv")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--model", required=True, type=Path, metavar="DIR", help="its config.json is written")
    parser.add_argument(
        "--queries",
        required=True,
        type=Path,
        metavar="FILE",
        help="the table the model was trained on; the slice that training held out is used",
    )
    parser.add_argument("--candidates", required=True, type=Path, metavar="FILE", help="ids shared with it")
    parser.add_argument(
        "--library", type=Path, metavar="DIR", help="a library with texts: the built catalogue"
    )
    parser.add_argument("--lay", type=Path, default=LAY, metavar="FILE", help="lay queries over the library")
    parser.add_argument("--dry-run", action="store_true", help="print, write nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")


def run(args: argparse.Namespace) -> int:
    """Fit, write (the constants into ``config.json``, where they come from into ``card.json``), and print."""
    from mlcore.retrieval import calibrate, reliability
    from mlcore.retrieval.data import featurise_all, read_table
    from mlcore.retrieval.fusion import Calibration, Fusion
    from mlcore.retrieval.library import Library
    from mlcore.retrieval.model import RetrievalModel
    from mlcore.retrieval.shelf import Shelf
    from mlcore.runtime.errors import InputError

    progress = NullProgress() if args.json else TerminalProgress("calibrate")
    model = RetrievalModel.load(args.model)
    candidates = read_table(args.candidates)
    known = {row.id for row in candidates}
    rows = [row for row in read_table(args.queries) if row.id in known]
    progress.log(f"reading {len(rows)} structures")
    molecules = featurise_all([row.smiles for row in rows])
    rows = [row for row in rows if row.smiles in molecules.numbers]
    keys = molecules.keys[[molecules.numbers[row.smiles] for row in rows]]
    places = calibrate.held_out(rows, keys)
    if not places:
        raise InputError(f"{args.queries.name} has no row of the tuning slice.", field="--queries")
    queries = [rows[place] for place in places]
    progress.log(f"{len(queries)} descriptions of the tuning slice in a pool of {len(candidates)}")
    groups: dict[str, Any] = {
        "chemical": calibrate.ask_pool(model, queries, candidates, progress),
        "catalogue": [],
        "lay": [],
        "absent": [],
    }
    if args.library:
        library = Library.open(args.library, model_fingerprint=model.fingerprint)
        shelf = Shelf(library)
        shelf.warm()
        found = [(rows[p].description, frozenset(shelf.with_key("inchikey", str(keys[p])))) for p in places]
        groups["catalogue"] = calibrate.ask_library(model, shelf, [q for q in found if q[1]], progress)
        lay = [
            (text, calibrate.rows_of_names(library, names)) for text, names in calibrate.read_lay(args.lay)
        ]
        groups["lay"] = calibrate.ask_library(model, shelf, lay, progress)
        none = calibrate.read_lay(ABSENT)
        groups["absent"] = calibrate.ask_library(
            model, shelf, [(text, frozenset()) for text, _ in none], progress
        )
    before = (Fusion.from_config(model.config), Calibration.from_config(model.config))
    after = calibrate.fit(groups["chemical"], groups["catalogue"], groups["lay"], groups["absent"], before[0])
    judged = reliability.judged(groups, *after)
    result: dict[str, Any] = {
        "before": calibrate.describe(*before, groups),
        "after": calibrate.describe(*after, groups),
        "verdict": reliability.as_dict(*judged),
        "fusion": asdict(after[0]),
        "calibration": asdict(after[1]),
        "model": model.fingerprint,
    }
    if not args.dry_run:
        calibrate.write(args.model, *after)
        _record(args, {name: len(group) for name, group in groups.items()})
    if args.json:
        print(json.dumps(result))
        return 0
    for when in ("before", "after"):
        for group, figures in result[when].items():
            print(f"{when:7}{group:10}" + "  ".join(f"{name} {value}" for name, value in figures.items()))
    print(json.dumps({name: result[name] for name in ("fusion", "calibration")}, indent=1))
    table, best, presence = judged
    print(
        f"\nThe verdicts on the queries that the constants were fitted to:\n\n{reliability.confusion_table(table)}"
    )
    print(f"\n{reliability.reliability_table('score of the best hit, answer there', best)}")
    print(f"\n{reliability.reliability_table('probability that the answer is there', presence)}\n")
    print("nothing was written (dry run)" if args.dry_run else f"written to {args.model / 'config.json'}")
    return 0


def _record(args: argparse.Namespace, sizes: Mapping[str, int]) -> None:
    """Write into the model's card which command fitted the constants, to which data and how many queries."""
    from mlcore.runtime import card

    command = (
        f"python -m mlcore calibrate retrieval --model {card.short(args.model)}"
        f" --queries {card.short(args.queries)} --candidates {card.short(args.candidates)}"
    )
    files = {"queries": args.queries, "candidates": args.candidates}
    facts: dict[str, Any] = {"queries": dict(sizes)}
    if args.library:
        command += f" --library {card.short(args.library)} --lay {card.short(args.lay)}"
        files |= {"lay queries": args.lay, "queries for what is not there": ABSENT}
        facts["library"] = _fingerprint(args.library)
    card.record(args.model, calibration=card.measured(command, files, **facts))


def _fingerprint(library: Path) -> str:
    """The hash of a library's contents."""
    from mlcore.retrieval.manifest import read_manifest

    return str(read_manifest(library)["fingerprint"])
