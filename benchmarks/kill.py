"""The kill drill: kill -9 of worker, web server and Redis at random moments of a training and an import.

    python -m benchmarks.kill [--kills 20] [--houses embedded scaled] [--steps 6000] [--molecules 4000] [--seed 0]

Two houses: *embedded* is ``manage.py serve`` on SQLite and a broker on disk; *scaled* is the same on PostgreSQL and
Redis (``FERRY_TEST_DATABASE_URL`` names the server; Redis is started here). In each, one training (a Monge map) and
one import run undisturbed first; then the same two are submitted again and again, while processes are killed, until the
kills are used up, and each time both have to end *done* with the files of the undisturbed run, byte for byte for the
trained weights, by fingerprint for the library. Counted as lost: jobs that did not end done. Counted as doubled: more
than one version or library of a job. Writes var/benchmarks/kill.json and ends with 1 where anything differs.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks._house import HOUSES, House

#: seconds between two kills
PAUSE = (1.0, 6.0)


def main() -> None:
    """Run the drill in every house that was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--houses", nargs="+", choices=HOUSES, default=list(HOUSES))
    parser.add_argument("--steps", type=int, default=6000, help="of the training")
    parser.add_argument("--molecules", type=int, default=4000, help="of the import")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("var/benchmarks/kill.json"))
    args = parser.parse_args()
    tables = {}
    for name in args.houses:
        with tempfile.TemporaryDirectory(prefix="ferry-drill-") as folder:
            tables[name] = drill(name, Path(folder), args)
            show(name, tables[name])
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(tables, indent=1))
    sys.exit(any(table["lost"] or table["doubled"] or table["different"] for table in tables.values()))


def drill(name: str, folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """One house: the undisturbed pair of jobs, then pairs under fire until the kills are used up."""
    dice = random.Random(args.seed)
    found: dict[str, Any] = {"kills": {}, "pairs": 0, "lost": 0, "doubled": 0, "different": 0}
    with House(name, folder) as house:
        house.bring(args.molecules)
        pair = house.begin(args.steps)
        house.wait(pair)
        reference = house.artefacts(pair)
        print(f"{name}: undisturbed {reference}", flush=True)
        while sum(found["kills"].values()) < args.kills:
            pair = house.begin(args.steps)
            found["pairs"] += 1
            while not house.ended(pair) and sum(found["kills"].values()) < args.kills:
                house.sleep(dice.uniform(*PAUSE))
                victim = dice.choice(house.victims)
                if house.kill(victim, dice):
                    found["kills"][victim] = found["kills"].get(victim, 0) + 1
            house.wait(pair)
            states = house.states(pair)
            found["lost"] += sum(state != "done" for state in states)
            found["doubled"] += house.doubled(pair)
            found["different"] += house.artefacts(pair) != reference
            print(f"{name}: {found}", flush=True)
        found["jobs"] = house.count_jobs()
    return found


def show(name: str, table: dict[str, Any]) -> None:
    """Print one line."""
    kills = ", ".join(f"{count} {victim}" for victim, count in sorted(table["kills"].items()))
    print(
        f"{name:10} kills: {kills}; pairs of jobs {table['pairs']}; lost {table['lost']}, doubled {table['doubled']}, "
        f"different {table['different']}"
    )


if __name__ == "__main__":
    main()
