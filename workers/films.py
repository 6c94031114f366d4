"""Watching a training that an inference worker runs: its events come back through an event stream."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from django.db import connections

from workers import events, remote
from workers.errors import BadInput, Busy, NotFound

LONGEST = 40.0  # seconds, the wait for a worker included
TURN = 0.5  # seconds between two looks at whether anybody is still there


def over_the_queue(problem: Mapping[str, Any], stopping: Callable[[], bool]) -> Iterator[dict[str, Any]]:
    """The events of ``transport_watch`` from a worker. Raises what the worker raised, Busy when none answers."""
    stream = f"film:{uuid.uuid4().hex}"
    ended, gone = threading.Event(), threading.Event()
    faults: list[Exception] = []

    def ask() -> None:
        try:
            remote.ask("transport_watch", {"problem": dict(problem), "stream": stream}, wait=LONGEST)
        except (BadInput, Busy, NotFound, RuntimeError) as error:
            faults.append(error)
        finally:
            ended.set()
            if gone.is_set():
                _forget(stream)
            connections.close_all()

    threading.Thread(target=ask, name="film", daemon=True).start()
    after, over = 0, False
    try:
        while not (over or stopping()):
            over = ended.is_set()  # what was published before is still read
            for event in events.subscribe(stream, after, wait=0 if over else TURN):
                after = event.seq
                yield event.data
        if faults:
            raise faults[0]
    finally:  # whoever is the last clears away; nobody waits
        if not ended.is_set():
            events.publish(f"{stream}:stop", {})
        gone.set()
        if ended.is_set():
            _forget(stream)


def _forget(stream: str) -> None:
    for name in (stream, f"{stream}:stop"):
        events.forget(name)
