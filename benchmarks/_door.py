"""Questions to the inference door itself, without a web server: run by ``benchmarks.batching --door`` in a process.

Reads ``{"warm", "alone", "crowd", "clients"}`` (texts, and how many threads ask at once) from standard input, prints
milliseconds of each question and questions a second as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time


def main() -> None:
    """Ask and tell."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    from workers import engine, inference

    asked = json.load(sys.stdin)
    engine.shared().warm()

    def ask(texts: list[str]) -> list[float]:
        taken = []
        for text in texts:
            started = time.perf_counter()
            inference.search(text)
            taken.append(1e3 * (time.perf_counter() - started))
        return taken

    def at_once(texts: list[str]) -> tuple[float, list[float]]:
        taken: list[float] = []
        clients = asked["clients"]
        threads = [
            threading.Thread(target=lambda number=number: taken.extend(ask(texts[number::clients])))
            for number in range(clients)
        ]
        started = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return len(texts) / (time.perf_counter() - started), taken

    ask(asked["warm"])
    at_once(asked["warm"])
    alone = ask(asked["alone"])
    rate, crowd = at_once(asked["crowd"])
    print(json.dumps({"alone": alone, "crowd": crowd, "rate": rate}))


if __name__ == "__main__":
    main()
