"""How fast molecules are imported: before encoding, and with it; and how much memory that takes.

    python -m benchmarks.import --molecules FILE --model models/retrieval --limit 20000

Prints a table and writes JSON (``--out``). The bars: at least 500 molecules/s on 2 cores before encoding, 150 with it.
Without ``--model`` only the first part is measured.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import resource
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Self

from mlcore.retrieval.importer import build
from mlcore.runtime.progress import TerminalProgress


class PeakMemory:
    """Samples the resident memory of this process and of its children, ten times a second."""

    def __init__(self) -> None:
        self.bytes = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        page = os.sysconf("SC_PAGE_SIZE")
        while not self._done.wait(0.1):
            self.bytes = max(self.bytes, sum(_resident(process) for process in _family()) * page)


def _family() -> list[int]:
    me = os.getpid()
    children = [
        int(child)
        for task in Path(f"/proc/{me}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]
    return [me, *children]


def _resident(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def first_lines(source: Path, target: Path, limit: int) -> None:
    """Copy the heading and ``limit`` lines of ``source`` to ``target``."""
    opened = gzip.open if source.suffix == ".gz" else open
    with opened(source, "rt", encoding="utf-8") as lines, target.open("w", encoding="utf-8") as out:
        for number, line in enumerate(lines):
            if number > limit:
                break
            out.write(line)


def measure(source: Path, folder: Path, model: Any, workers: int) -> dict[str, Any]:
    """One import (a dry run without a model): counts, seconds, molecules/s, peak memory, seconds of computing."""
    before = _computed()
    started = time.perf_counter()
    with PeakMemory() as memory:
        report = build(
            source,
            folder / "library",
            model,
            dry_run=model is None,
            resume=False,
            workers=workers,
            progress=TerminalProgress("import"),
        )
    seconds = time.perf_counter() - started
    return {
        "counts": report.sentence(),
        "seconds": round(seconds, 2),
        "molecules_per_second": round(report.read / seconds, 1),
        "cpu_seconds": round(_computed() - before, 2),
        "peak_megabytes": round(memory.bytes / 1e6),
    }


def _computed() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--molecules", type=Path, required=True, metavar="FILE", help="one record a line")
    parser.add_argument("--model", type=Path, metavar="DIR")
    parser.add_argument("--limit", type=int, default=20_000, metavar="N", help="records to import")
    parser.add_argument(
        "--encoded", type=int, default=3_000, metavar="N", help="records to import with encoding"
    )
    parser.add_argument("--workers", type=int, default=2, metavar="N")
    parser.add_argument("--out", type=Path, default=Path("var/benchmarks/import.json"), metavar="FILE")
    args = parser.parse_args()
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        source = folder / "molecules.tsv"
        first_lines(args.molecules, source, args.limit)
        results["before encoding"] = measure(source, folder, None, args.workers)
        if args.model:
            from mlcore.retrieval.model import RetrievalModel

            model = RetrievalModel.load(args.model)
            first_lines(args.molecules, source, min(args.limit, args.encoded))
            results["with encoding"] = measure(source, folder, model, args.workers)
    print(f"{'':18}{'molecules/s':>12}{'seconds':>10}{'computing':>11}{'peak MB':>9}  counts")
    for name, found in results.items():
        print(
            f"{name:18}{found['molecules_per_second']:12,.1f}{found['seconds']:10.2f}{found['cpu_seconds']:11.2f}"
            f"{found['peak_megabytes']:9,}  {found['counts']}"
        )
    facts = {
        "molecules": args.molecules.name,
        "limit": args.limit,
        "workers": args.workers,
        "cores": os.cpu_count(),
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(
        json.dumps({"settings": facts, "results": results}, indent=2) + "\n", encoding="utf-8"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
