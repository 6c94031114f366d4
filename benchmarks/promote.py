"""Promotions and roll-backs under load: not one request may fail.

    python -m benchmarks.promote [--changes 5] [--clients 4] [--requests 2000]

Clients search over HTTP without pause while a version is promoted, rolled back, promoted again. Both versions are the
shipped model in folders of their own, so that every change loads a model and its catalogue anew and every answer stays
right. Printed: requests, failures, and the latency while nothing changes and while something does. Writes
var/benchmarks/promote.json and ends with 1 when a request failed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import quantiles
from types import TracebackType
from typing import Any, Self
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

from benchmarks._house import ROOT, House

WORDS = (
    "sweet",
    "bitter",
    "toxic",
    "oily",
    "blue",
    "volatile",
    "aromatic",
    "soluble",
    "natural",
    "synthetic",
)
#: seconds between two changes
PAUSE = 8.0


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--changes", type=int, default=5)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument(
        "--requests", type=int, default=2000, help="the fewest; the load goes on until the end"
    )
    parser.add_argument("--out", type=Path, default=Path("var/benchmarks/promote.json"))
    args = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="ferry-promote-") as folder,
        House("embedded", Path(folder)) as house,
    ):
        table = under_load(house, Path(folder), args)
    print(json.dumps(table, indent=1))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(table, indent=1))
    sys.exit(bool(table["failed"]))


def under_load(house: House, folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """The figures."""
    from workers import registry

    versions = []
    for number in (1, 2):
        target = folder / "data" / "jobs" / f"version-{number}" / "model"
        shutil.copytree(ROOT / "models" / "retrieval", target)
        versions.append(registry.register("retrieval", "", target))
    load = Load(f"http://127.0.0.1:{house.port}", args.clients)
    with load:
        changed = _change(versions, args)
        while load.count() < args.requests:
            time.sleep(0.1)
    calm = [s for at, s, _ in load.answers if not any(a <= at <= b for a, b in changed)]
    during = [s for at, s, _ in load.answers if any(a <= at <= b for a, b in changed)]
    return {
        "requests": len(load.answers),
        "failed": sum(not good for _, _, good in load.answers),
        "changes": args.changes,
        "ms, nothing changes": _spread(calm),
        "ms, within a change": _spread(during),
    }


def _change(versions: list[Any], args: argparse.Namespace) -> list[tuple[float, float]]:
    """Promote and roll back in turn; when each change began, and until when its effects were waited for."""
    from workers import registry

    time.sleep(PAUSE)
    changed = []
    for number in range(args.changes):
        began = time.monotonic()
        if number % 2:
            registry.roll_back("retrieval", "", "drill", "drill")
        else:
            registry.promote(versions[number // 2 % 2], "drill", "drill", unmeasured=True)
        time.sleep(PAUSE)
        changed.append((began, began + PAUSE))
    return changed


class Load:
    """Clients that search, each again as soon as it has its answer."""

    def __init__(self, address: str, clients: int) -> None:
        self.address = address
        self.answers: list[tuple[float, float, bool]] = []
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End after the answers under way."""
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def count(self) -> int:
        """Answers so far."""
        with self._lock:
            return len(self.answers)

    def _run(self, client: int) -> None:
        number = 0
        while not self._ended.is_set():
            number += 1
            words = [WORDS[(number * step + client) % len(WORDS)] for step in (1, 3, 7)]
            query = urlencode({"q": f"a {' '.join(words)} compound number {client}-{number}"})
            began = time.monotonic()
            try:
                with urlopen(f"{self.address}/api/v1/search/?{query}", timeout=60) as answer:
                    good = answer.status == 200 and bool(json.load(answer)["hits"])
            except (URLError, OSError, ValueError):
                good = False
            with self._lock:
                self.answers.append((began, time.monotonic() - began, good))


def _spread(seconds: list[float]) -> dict[str, float]:
    if len(seconds) < 2:
        return {}
    cuts = quantiles([1e3 * value for value in seconds], n=100)
    return {"p50": round(cuts[49], 1), "p95": round(cuts[94], 1), "max": round(1e3 * max(seconds), 1)}


if __name__ == "__main__":
    main()
