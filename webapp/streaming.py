"""Server-sent events from an iterator, whichever kind of server runs: in threads, or in an event loop.

The iterator gives events as they come and None where there is nothing yet; the waiting is done here, so that a reader
who waits holds no thread. A comment is sent every ``HEARTBEAT`` seconds: proxies keep a connection that is not silent,
and a reader who has gone is noticed.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse

HEARTBEAT = 15.0
POLL_SECONDS = 0.25
SILENCE = b": still here\n\n"


@dataclass(frozen=True)
class Event:
    """One event: its name, its data (JSON), and its number where a reader can go on from it."""

    name: str
    data: Mapping[str, Any]
    seq: int | None = None

    def lines(self) -> bytes:
        """As it goes over the wire."""
        number = "" if self.seq is None else f"id: {self.seq}\n"
        return f"{number}event: {self.name}\ndata: {json.dumps(self.data, ensure_ascii=False)}\n\n".encode()


def last_seen(request: HttpRequest) -> int:
    """The number that a reader who connects again has seen last; 0 at the first time."""
    said = request.headers.get("Last-Event-ID", "")
    return int(said) if said.isascii() and said.isdigit() and len(said) < 19 else 0


def stream(
    request: HttpRequest, events: Iterator[Event | None], left: Callable[[], None] = lambda: None
) -> StreamingHttpResponse:
    """A response that sends ``events`` as they come; ``left`` is called at their end or when nobody reads any more."""
    lines = _lines(events)
    body = _in_loop(lines, left) if isinstance(request, ASGIRequest) else _in_thread(lines, left)
    headers = {"Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no"}
    return StreamingHttpResponse(body, content_type="text/event-stream", headers=headers)


def _lines(events: Iterator[Event | None]) -> Iterator[bytes]:
    """What to send; empty where there is nothing to send yet."""
    sent = time.monotonic()
    for event in events:
        silence = SILENCE if time.monotonic() - sent >= HEARTBEAT else b""
        line = silence if event is None else event.lines()
        sent = time.monotonic() if line else sent
        yield line


def _in_thread(lines: Iterator[bytes], left: Callable[[], None]) -> Iterator[bytes]:
    try:
        for line in lines:
            if line:
                yield line
            else:
                time.sleep(POLL_SECONDS)
    finally:
        left()


async def _in_loop(lines: Iterator[bytes], left: Callable[[], None]) -> AsyncIterator[bytes]:
    """A thread makes the next lines, the loop waits between; a reader who leaves cancels the waiting."""
    step = sync_to_async(lambda: next(lines, None), thread_sensitive=False)
    try:
        while (line := await step()) is not None:
            if line:
                yield line
            else:
                await asyncio.sleep(POLL_SECONDS)
    finally:
        left()
