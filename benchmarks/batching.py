"""What gathering searches into batches is worth: the same server with it and without.

    python -m benchmarks.batching --molecules FILE [--texts FILE ...] [--door]

Builds the library as :mod:`benchmarks.search` does, starts the real server over it once with batches off
(``FERRY_BATCH=0``) and once with them, and asks each queries that are all different: one client at a time, then
``--clients`` at once. Rounds alternate between the two and the median of each figure over the rounds counts, because a
machine is not equally fast all the time. With ``--door`` threads ask the inference door in a process of its own, and no
web server is in between. Prints a table and writes var/benchmarks/batching.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.search import (
    ROOT,
    WARM_UP,
    ask,
    ask_at_once,
    ferry,
    free_port,
    house_of,
    library_of,
    quantiles,
    short_queries,
)

PATH = "/api/v1/search/?q="
#: how much faster many clients are to be served, and how much slower one may be
BARS = {"requests/s": 1.8, "alone p50": 1.1}


def measure(port: int, texts: list[str], alone: int, clients: int) -> dict[str, float]:
    """Figures of one server: ``alone`` queries by one client, the rest by ``clients``."""
    ask(port, PATH, texts[:WARM_UP])
    ask_at_once(port, PATH, texts[WARM_UP : 3 * WARM_UP], clients)
    texts = texts[3 * WARM_UP :]
    found = {f"alone {name}": value for name, value in quantiles(ask(port, PATH, texts[:alone])).items()}
    rate, taken = ask_at_once(port, PATH, texts[alone:], clients)
    return {**found, "requests/s": round(rate, 1), **{f"crowd {k}": v for k, v in quantiles(taken).items()}}


def at_the_door(
    model: Path, library: Path, texts: list[str], alone: int, clients: int, options: dict[str, str]
) -> dict[str, float]:
    """The same figures without a web server."""
    rest = texts[3 * WARM_UP :]
    asked = {"warm": texts[: 3 * WARM_UP], "alone": rest[:alone], "crowd": rest[alone:], "clients": clients}
    with house_of(model, library) as environment:
        told = subprocess.run(
            [sys.executable, "-m", "benchmarks._door"],
            cwd=ROOT,
            env={**os.environ, **environment, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **options},
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            check=True,
        )
    found = json.loads(told.stdout.splitlines()[-1])
    figures = {f"alone {name}": value for name, value in quantiles(found["alone"]).items()}
    crowd = {f"crowd {name}": value for name, value in quantiles(found["crowd"]).items()}
    return {**figures, "requests/s": round(found["rate"], 1), **crowd}


def middle(rounds: list[dict[str, float]]) -> dict[str, float]:
    """The median of each figure."""
    return {name: round(statistics.median(each[name] for each in rounds), 1) for name in rounds[0]}


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--molecules", type=Path, required=True, metavar="FILE")
    parser.add_argument("--texts", type=Path, nargs="*", default=[], metavar="FILE")
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "retrieval", metavar="DIR")
    parser.add_argument("--queries", type=int, default=600, metavar="N", help="of the crowd (default 600)")
    parser.add_argument("--alone", type=int, default=100, metavar="N", help="of one client (default 100)")
    parser.add_argument("--clients", type=int, default=32, metavar="N")
    parser.add_argument("--door", action="store_true", help="the inference door alone, without a web server")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--out", type=Path, default=ROOT / "var/benchmarks/batching.json", metavar="FILE")
    args = parser.parse_args()
    library = library_of(args.molecules, args.texts, args.model, args.out.parent)
    texts = short_queries(3 * WARM_UP + args.alone + args.queries)
    rounds: dict[str, list[dict[str, float]]] = {"off": [], "on": []}
    for _ in range(args.rounds):
        for name, figures in rounds.items():
            options = {"FERRY_BATCH": "0"} if name == "off" else {}
            if args.door:
                figures.append(at_the_door(args.model, library, texts, args.alone, args.clients, options))
                continue
            port = free_port()
            with ferry(args.model, library, port, 1, options):
                figures.append(measure(port, texts, args.alone, args.clients))
    results: dict[str, Any] = {name: middle(figures) for name, figures in rounds.items()}
    names = ("alone p50", "alone p95", "requests/s", "crowd p50", "crowd p95")
    print(f"\nmilliseconds; {args.clients} clients, medians of {args.rounds} rounds")
    print(f"{'batches':10}" + "".join(f"{name:>12}" for name in names))
    for name, figures in results.items():
        print(f"{name:10}" + "".join(f"{figures[each]:12.1f}" for each in names))
    ratios = {name: round(results["on"][name] / results["off"][name], 2) for name in names}
    print(f"{'on / off':10}" + "".join(f"{ratios[each]:12.2f}" for each in names))
    print(f"{'bar':10}" + "".join(f"{BARS[each]:12.2f}" if each in BARS else " " * 12 for each in names))
    facts = {**vars(args), "cores": os.cpu_count(), "bars": BARS, "ratios": ratios}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    written = {"settings": facts, "results": results, "rounds": rounds}
    args.out.write_text(json.dumps(written, indent=2, default=str) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
