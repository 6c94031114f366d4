"""What happens when ten times as many searches come as the server can answer.

    python -m benchmarks.overload --molecules FILE [--texts FILE ...] [--seconds 60]

Builds the library as :mod:`benchmarks.search` does and starts the real server over it. First one client asks alone (the
unloaded time), then ``--clients`` ask without pausing (the sustainable rate). Then ``--times`` that rate is offered for
``--seconds``: requests leave at their appointed times whether or not answers have come (an open loop), each text is
different, and nobody heeds ``Retry-After``. Memory of the web processes is read meanwhile. At the end one client asks
again. Prints a table and writes var/benchmarks/overload.json.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from benchmarks.batching import PATH
from benchmarks.search import (
    ROOT,
    WARM_UP,
    ask,
    ask_at_once,
    ferry,
    free_port,
    library_of,
    quantiles,
    short_queries,
)

#: accepted requests may take so many times as long as without load
BAR = 2.0
#: connections that the flood is spread over
CONNECTIONS = 256
_TIMEOUT = 30.0


class Flood:
    """Requests at appointed times, over kept connections that are opened as they are needed."""

    def __init__(self, port: int, texts: Iterator[str], limit: int = CONNECTIONS) -> None:
        self.port = port
        self.texts = texts
        self.free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self.slots = asyncio.Semaphore(limit)
        self.statuses: Counter[str] = Counter()
        self.accepted: list[float] = []
        self.refused: list[float] = []
        self.without_retry_after = 0
        self.unsent = 0

    async def run(self, rate: float, seconds: float) -> None:
        """Send ``rate`` requests a second."""
        loop = asyncio.get_running_loop()
        started, number, tasks = loop.time(), 0, set()
        while (passed := loop.time() - started) < seconds:
            for _ in range(int(passed * rate) - number):
                number += 1
                if (
                    self.slots.locked()
                ):  # every connection waits for its answer: a queue in the client proves nothing
                    self.unsent += 1
                    continue
                await self.slots.acquire()
                task = asyncio.create_task(self._one(next(self.texts)))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            await asyncio.sleep(0.002)
        await asyncio.gather(*tasks)
        for _, writer in self.free:
            writer.close()

    async def _one(self, text: str) -> None:
        started = time.perf_counter()
        try:
            async with asyncio.timeout(_TIMEOUT):
                status, retry = await self._exchange(text)
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            self.statuses[type(error).__name__] += 1
            return
        finally:
            self.slots.release()
        self.statuses[str(status)] += 1
        taken = (time.perf_counter() - started) * 1000
        (self.accepted if status == 200 else self.refused).append(taken)
        self.without_retry_after += status == 503 and not retry

    async def _exchange(self, text: str) -> tuple[int, bool]:
        """One request and its answer: the status, and whether there was a Retry-After."""
        while self.free and self.free[-1][0].at_eof():  # idle for so long that the server has closed it
            self.free.pop()[1].close()
        pair = self.free.pop() if self.free else await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = pair
        writer.write(f"GET {PATH}{quote(text)} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        await reader.readexactly(length)
        self.free.append(pair)
        return int(head[9:12]), b"retry-after:" in head


@contextmanager
def memory_of(port: int) -> Iterator[list[float]]:
    """Resident megabytes of the web processes, read every second while the block runs."""
    pattern = f"granian.*--port {port}"
    found = subprocess.run(["pgrep", "-f", pattern], capture_output=True, text=True, check=True)
    pids = [int(line) for line in found.stdout.split()]
    readings: list[float] = []
    over = threading.Event()

    def watch() -> None:
        while True:
            pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
            readings.append(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)
            if over.wait(1.0):
                return

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield readings
    finally:
        over.set()
        thread.join()


def show(results: dict[str, Any]) -> None:
    """The table."""
    for name, value in results.items():
        print(f"{name:44}{value if isinstance(value, str) else json.dumps(value)}")


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--molecules", type=Path, required=True, metavar="FILE")
    parser.add_argument("--texts", type=Path, nargs="*", default=[], metavar="FILE")
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "retrieval", metavar="DIR")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--times", type=float, default=10.0, help="of the sustainable rate (default 10)")
    parser.add_argument("--clients", type=int, default=32, metavar="N")
    parser.add_argument("--queries", type=int, default=400, metavar="N", help="for the rate (default 400)")
    parser.add_argument("--processes", type=int, default=1, metavar="N")
    parser.add_argument("--out", type=Path, default=ROOT / "var/benchmarks/overload.json", metavar="FILE")
    args = parser.parse_args()
    library = library_of(args.molecules, args.texts, args.model, args.out.parent)
    texts = short_queries(2 * WARM_UP + 300 + args.queries)
    warm, alone, again, crowd = texts[:40], texts[40:140], texts[140:240], texts[340:]
    # every request of the flood asks something that nobody has asked
    endless = (f"{text} number {number}" for number, text in zip(itertools.count(), itertools.cycle(texts)))
    port = free_port()
    with ferry(args.model, library, port, args.processes):
        ask(port, PATH, warm[:WARM_UP])
        ask_at_once(port, PATH, warm[WARM_UP:], 8)
        unloaded = quantiles(ask(port, PATH, alone))
        rate, taken = ask_at_once(port, PATH, crowd, args.clients)
        with memory_of(port) as readings:
            flood = Flood(port, endless)
            asyncio.run(flood.run(args.times * rate, args.seconds))
        time.sleep(3)
        after = quantiles(ask(port, PATH, again))
    accepted = quantiles(flood.accepted)
    results: dict[str, Any] = {
        "one client, ms": unloaded,
        f"{args.clients} clients, requests/s": round(rate, 1),
        f"{args.clients} clients, ms": quantiles(taken),
        "offered, requests/s": round(args.times * rate),
        "sent, requests/s": round(sum(flood.statuses.values()) / args.seconds),
        "not sent, all connections waiting": flood.unsent,
        "answers": dict(flood.statuses),
        "accepted, requests/s": round(len(flood.accepted) / args.seconds, 1),
        "accepted, ms": accepted,
        "refused, ms": quantiles(flood.refused) if len(flood.refused) > 1 else {},
        "503 without Retry-After": flood.without_retry_after,
        "p95 accepted / unloaded": round(accepted["p95"] / unloaded["p95"], 2),
        "bar": BAR,
        "memory before, median, most, MB": [
            round(v) for v in (readings[0], statistics.median(readings), max(readings))
        ],
        "one client afterwards, ms": after,
    }
    show(results)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    facts = {**vars(args), "cores": os.cpu_count()}
    args.out.write_text(
        json.dumps({"settings": facts, "results": results}, indent=2, default=str) + "\n", encoding="utf-8"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
