"""Whether anything that the schema allows, or forbids, brings the API to a server error or to a lie about itself.

    python -m benchmarks.fuzz [--examples 20] [--seed 4]

schemathesis asks the application itself (ASGI, in this process: middleware, views, database and files; only the
science is the small stand-in of the tests) every operation of its OpenAPI schema, as nobody and as an administrator:
the examples, the boundary of every parameter, random cases, and sequences of calls that pass ids on. Every answer is
held to all checks: no server error, documented status, content type, headers and shape, valid data taken, invalid data
refused, log-ins asked for, deleted things gone, other methods refused. Well-formed data that names nothing (a SMILES
that is none, a library that is not there) may be answered 4xx: a schema cannot say that. Prints a table, writes
var/benchmarks/fuzz.json, and ends with 1 where there was a server error or a failed check.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PHASES = {"nobody": ("examples", "fuzzing"), "administrator": ("examples", "coverage", "fuzzing", "stateful")}


def main() -> int:
    """Fuzz as both; 1 where something failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--examples", type=int, default=20, help="random cases an operation (20)")
    parser.add_argument("--seed", type=int, default=4)
    args = parser.parse_args()
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    import django

    django.setup()
    logging.disable(logging.WARNING)
    found = {}
    for who in PHASES:
        found[who] = fuzz(who, args.examples, args.seed)
    print_table(found)
    out = ROOT / "var" / "benchmarks" / "fuzz.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"examples": args.examples, "seed": args.seed, **found}, indent=1) + "\n")
    return int(any(run["server_errors"] or run["failures"] or run["errors"] for run in found.values()))


def fuzz(who: str, examples: int, seed: int) -> dict[str, Any]:
    """One run as ``who`` over a database and folders of its own; its figures."""
    from django.core.management import call_command

    from tests.webapp.api import fuzzing

    call_command("migrate", verbosity=0)
    call_command("flush", verbosity=0, interactive=False, inhibit_post_migrate=False)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, fuzzing.small_house(Path(folder)) as app:
        token = fuzzing.furnish(Path(folder))
        report = fuzzing.run(
            app,
            token=token if who == "administrator" else "",
            phases=PHASES[who],
            examples=examples,
            seed=seed,
        )
    return {
        "cases": report.cases,
        "operations": len(report.operations),
        "checks": dict(report.checks.most_common()),
        "statuses": {str(status): count for status, count in sorted(report.statuses.items())},
        "server_errors": report.server_errors,
        "failures": [{"check": c, "operation": o, "text": t} for (c, o), t in report.failures.items()],
        "errors": report.errors,
        "seconds": round(time.perf_counter() - began, 1),
    }


def print_table(found: dict[str, dict[str, Any]]) -> None:
    """A line for each run, then what failed."""
    print("| as | operations | cases | checks made | server errors | failed checks | seconds |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for who, run in found.items():
        made = f"{sum(run['checks'].values()):,}"
        failed = len(run["failures"]) + len(run["errors"])
        print(
            f"| {who} | {run['operations']} | {run['cases']:,} | {made} | {run['server_errors']} | {failed} "
            f"| {run['seconds']} |"
        )
    for who, run in found.items():
        print(f"\n{who}: " + ", ".join(f"{count:,} × {status}" for status, count in run["statuses"].items()))
        for failure in run["failures"]:
            print(f"\n{failure['check']} at {failure['operation']}\n{failure['text']}")
        for error in run["errors"]:
            print(f"\ncould not be asked: {error}")


if __name__ == "__main__":
    raise SystemExit(main())
