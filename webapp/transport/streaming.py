"""Server-sent events from an iterator, whichever kind of server runs: in threads, or in an event loop."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse

Event = tuple[str, Mapping[str, Any]]  # its name and its data


def stream(request: HttpRequest, events: Iterator[Event], left: Callable[[], None]) -> StreamingHttpResponse:
    """A response that sends ``events`` as they come; ``left`` is called at their end or when nobody reads any more."""
    lines = _lines(events)
    body = _in_loop(lines, left) if isinstance(request, ASGIRequest) else _in_thread(lines, left)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingHttpResponse(body, content_type="text/event-stream", headers=headers)


def _lines(events: Iterator[Event]) -> Iterator[bytes]:
    for name, data in events:
        yield f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def _in_thread(lines: Iterator[bytes], left: Callable[[], None]) -> Iterator[bytes]:
    try:
        yield from lines
    finally:
        left()


async def _in_loop(lines: Iterator[bytes], left: Callable[[], None]) -> AsyncIterator[bytes]:
    """The loop waits for a thread that makes the next lines; a reader who leaves cancels the waiting."""
    step = sync_to_async(next, thread_sensitive=False)
    try:
        while (line := await step(lines, None)) is not None:
            yield line
    finally:
        left()
