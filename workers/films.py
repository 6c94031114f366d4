"""Watching what an inference worker does step by step: its events come back through an event stream."""

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

Happenings = Iterator[dict[str, Any]]


def over_the_queue(
    verb: str, arguments: Mapping[str, Any], stopping: Callable[[], bool], longest: float = LONGEST
) -> Happenings:
    """The events of ``verb`` from a worker. Raises what the worker raised, Busy when none answers.

    The verb is asked with a ``stream`` besides, to which it publishes by :func:`published`.
    """
    stream = f"film:{uuid.uuid4().hex}"
    ended, gone = threading.Event(), threading.Event()
    faults: list[Exception] = []

    def ask() -> None:
        try:
            remote.ask(verb, {**arguments, "stream": stream}, wait=longest)
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


def published(stream: str, happenings: Callable[[Callable[[], bool]], Happenings]) -> None:
    """On the worker's side: publish what happens to ``stream``.

    ``happenings`` is given the question whether to stop; an event in ``STREAM:stop`` is the answer yes.
    """
    for event in happenings(lambda: bool(events.subscribe(f"{stream}:stop"))):
        events.publish(stream, event)


def _forget(stream: str) -> None:
    for name in (stream, f"{stream}:stop"):
        events.forget(name)
