"""``python -m mlcore index``: import a file of molecules into a library folder."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from mlcore.retrieval.sources import Limits
from mlcore.runtime.errors import InputError, LibraryError, ModelError
from mlcore.runtime.progress import TerminalProgress

_SHOWN = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``index`` on ``parser``."""
    defaults = Limits()
    parser.description = (
        "Import molecules (.smi, .sdf, .csv, .tsv, gzipped or not) into a library that can be searched."
    )
    parser.add_argument("--molecules", type=Path, required=True, metavar="FILE", help="the file to import")
    parser.add_argument("--model", type=Path, metavar="DIR", help="folder of the retrieval model")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder of the library (replaced when it is whole)"
    )
    parser.add_argument("--name", help="what people call the library; the folder's name if not given")
    parser.add_argument("--dry-run", action="store_true", help="read and check everything, write nothing")
    parser.add_argument(
        "--resume", action="store_true", help="go on with an interrupted import of the same file"
    )
    parser.add_argument(
        "--refused", type=Path, metavar="FILE", help="where to put the refused records, to mend them"
    )
    parser.add_argument(
        "--workers", type=int, metavar="N", help="processes that read molecules (default: all cores)"
    )
    parser.add_argument(
        "--max-atoms", type=int, default=defaults.atoms, metavar="N", help="default: %(default)s"
    )
    parser.add_argument(
        "--max-megabytes", type=int, default=defaults.file_bytes >> 20, metavar="N", help="of the file"
    )
    parser.add_argument(
        "--seconds", type=float, default=defaults.seconds, help="computing allowed for one molecule"
    )
    parser.add_argument("--json", action="store_true", help="end with one JSON object on standard output")


def run(args: argparse.Namespace) -> int:
    """Do what ``args`` ask: 0 when it worked, 1 when input or folder cannot be used, 2 wrong options, 130 stopped."""
    if not args.dry_run and (args.model is None or args.out is None):
        print("index: --model and --out are needed (only --dry-run does without)", file=sys.stderr)
        return 2
    from mlcore.retrieval.importer import build

    limits = Limits(file_bytes=args.max_megabytes << 20, atoms=args.max_atoms, seconds=args.seconds)
    try:
        model = None
        if not args.dry_run:
            from mlcore.retrieval.model import RetrievalModel

            model = RetrievalModel.load(args.model)
        report = build(
            args.molecules,
            args.out or Path("library"),
            model,
            name=args.name,
            progress=TerminalProgress("index"),
            resume=args.resume,
            dry_run=args.dry_run,
            limits=limits,
            workers=args.workers,
            refused_file=args.refused,
        )
    except (InputError, LibraryError, ModelError) as fault:
        print(f"index: {fault}", file=sys.stderr)
        if args.json:
            print(json.dumps({"error": str(fault)}, ensure_ascii=False))
        return 1
    except KeyboardInterrupt:
        print("index: stopped; what was committed is kept: go on with --resume", file=sys.stderr)
        return 130
    human = sys.stderr if args.json else sys.stdout
    print(report.sentence() + (" (dry run: nothing was written)" if report.dry_run else ""), file=human)
    for note in report.notes:
        print(f"  note: {note}", file=human)
    for refusal in report.refusals[:_SHOWN]:
        print(f"  refused: {refusal}", file=human)
    if report.refused > _SHOWN:
        print(f"  ... and {report.refused - _SHOWN:,} more", file=human)
    if report.refused_file:
        print(f"  the refused records, to mend: {report.refused_file}", file=human)
    if args.json:
        print(
            json.dumps({**report.as_dict(), "out": str(args.out) if args.out else None}, ensure_ascii=False)
        )
    return 0
