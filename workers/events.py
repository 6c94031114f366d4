"""One append-only stream per subject: job progress now, streamed tokens and partial transcripts later.

``publish(stream, event) -> seq`` and ``subscribe(stream, after) -> events``; Redis Streams behind it where there is a
``REDIS_URL``, a table otherwise. Sequence numbers count 1, 2, 3 … within a stream; the last ``KEPT`` events are kept.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Max

KEPT = 1000
POLL_SECONDS = 0.25


@dataclass(frozen=True)
class Event:
    """One event and its place in the stream."""

    seq: int
    data: dict[str, Any]


class Streams(Protocol):
    """What a backend does."""

    def publish(self, stream: str, event: Mapping[str, Any]) -> int:
        """Append; the sequence number."""

    def subscribe(self, stream: str, after: int, wait: float) -> list[Event]:
        """Events with a larger number than ``after``, waiting up to ``wait`` seconds for the first."""

    def forget(self, stream: str) -> None:
        """Delete a stream."""


def publish(stream: str, event: Mapping[str, Any]) -> int:
    """Append ``event`` (JSON) to ``stream``; its sequence number."""
    return backend().publish(stream, event)


def subscribe(stream: str, after: int = 0, *, wait: float = 0.0) -> list[Event]:
    """The events of ``stream`` that follow number ``after``; waits up to ``wait`` seconds when there is none yet."""
    return backend().subscribe(stream, after, wait)


def forget(stream: str) -> None:
    """Delete ``stream`` with its events."""
    backend().forget(stream)


def backend() -> Streams:
    """The streams that the settings name."""
    return _redis(settings.REDIS_URL) if settings.REDIS_URL else TableStreams()


@cache
def _redis(url: str) -> RedisStreams:
    return RedisStreams(url)


class TableStreams:
    """Events as rows. A number that two writers take at once is given to one; the other tries the next."""

    def publish(self, stream: str, event: Mapping[str, Any]) -> int:
        """Append; the sequence number."""
        from workers import models

        rows = models.Event.objects.filter(stream=stream)
        while True:
            seq = (rows.aggregate(last=Max("seq"))["last"] or 0) + 1
            try:
                with transaction.atomic():
                    models.Event.objects.create(stream=stream, seq=seq, data=dict(event))
            except IntegrityError:
                continue
            if seq % 100 == 0:
                rows.filter(seq__lte=seq - KEPT).delete()
            return seq

    def subscribe(self, stream: str, after: int, wait: float) -> list[Event]:
        """Events with a larger number than ``after``."""
        from workers import models

        until = time.monotonic() + wait
        rows = models.Event.objects.filter(stream=stream, seq__gt=after).order_by("seq")
        while True:
            found = [Event(row.seq, row.data) for row in rows.all()]
            if found or time.monotonic() >= until:
                return found
            time.sleep(POLL_SECONDS)

    def forget(self, stream: str) -> None:
        """Delete a stream."""
        from workers import models

        models.Event.objects.filter(stream=stream).delete()


class RedisStreams:
    """Redis Streams; one script numbers and appends, so that numbers have neither gaps nor doubles."""

    APPEND = """
    local seq = redis.call('INCR', KEYS[2])
    redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], seq .. '-0', 'data', ARGV[1])
    return seq
    """

    def __init__(self, url: str) -> None:
        import redis

        self.client = redis.Redis.from_url(url, health_check_interval=30)
        self._append = self.client.register_script(self.APPEND)

    def publish(self, stream: str, event: Mapping[str, Any]) -> int:
        """Append; the sequence number."""
        return int(self._append(keys=self._keys(stream), args=[json.dumps(dict(event)), KEPT]))

    def subscribe(self, stream: str, after: int, wait: float) -> list[Event]:
        """Events with a larger number than ``after``."""
        name = self._keys(stream)[0]
        block = max(1, int(wait * 1000)) if wait > 0 else None
        answer = self.client.xread({name: f"{after}-0"}, block=block)
        entries = answer[0][1] if answer else []
        if isinstance(answer, dict):  # RESP3 answers with a map
            entries = [entry for batch in answer.values() for group in batch for entry in group]
        return [Event(int(key.split(b"-")[0]), json.loads(fields[b"data"])) for key, fields in entries]

    def forget(self, stream: str) -> None:
        """Delete a stream."""
        self.client.delete(*self._keys(stream))

    @staticmethod
    def _keys(stream: str) -> list[str]:
        return [f"ferry:events:{{{stream}}}", f"ferry:events:{{{stream}}}:seq"]
