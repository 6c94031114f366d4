"""Who is being answered: until when an answer is of use, and whether anybody still waits for it.

The web server sets it for each request (:mod:`webapp.admission`), the queue for each question; the engine asks.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(eq=False)
class Call:
    """One request. ``deadline`` on the clock of ``time.monotonic``; ``gone`` once nobody waits any more; ``model`` is
    the hash of the model that has answered.
    """

    deadline: float = float("inf")
    gone: bool = False
    model: str = ""

    @property
    def left(self) -> float:
        """Seconds until the deadline, not below zero."""
        return max(0.0, self.deadline - time.monotonic())


_current: ContextVar[Call | None] = ContextVar("call", default=None)


def current() -> Call:
    """The call that this thread works on; one without limits where nobody said."""
    return _current.get() or Call()


@contextmanager
def answering(call: Call) -> Iterator[Call]:
    """``call`` is the current one inside the block, and in what inherits its context."""
    mark = _current.set(call)
    try:
        yield call
    finally:
        _current.reset(mark)
