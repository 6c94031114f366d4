"""Gathering what many threads ask at once into batches: bounded in size, in waiting, and in how much may queue.

There is no thread of its own. Whoever finds a lane free leads: it works on its own item together with everything that
waits, up to the bounds, and hands the lane on. While lanes are busy items gather, so batches grow with the load and a
lone caller is never kept waiting for company. Only after a batch of several does a leader wait, up to ``wait`` seconds
after the oldest item came, for those who were in the last one to come back.

An item whose deadline has passed or whose caller has gone is dropped before work begins. Where a batch fails, its items
are tried one by one, so that nobody pays for a neighbour.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from workers.errors import Busy

Item = TypeVar("Item")
Result = TypeVar("Result")

#: of the measured rate, how much the latest batch counts
_RECENT = 0.2


class Late(Busy):
    """The deadline passed before work began."""


class Gone(Busy):
    """The caller left before work began."""


class Watch(Protocol):
    """What is told of batches; see :mod:`workers.metrics`."""

    def batch(self, items: int, waited: float) -> None:
        """A batch begins; its oldest item waited so many seconds."""

    def dropped(self, why: str) -> None:
        """An item was not worked on: ``full``, ``late`` or ``gone``."""


@dataclass(frozen=True)
class Limits:
    """Bounds of a batch (``items``, ``cost``, ``wait`` in seconds), of the queue, and batches at a time (``lanes``)."""

    items: int = 16
    cost: int = 1024
    wait: float = 0.004
    queue: int = 64
    lanes: int = 1


@dataclass(eq=False)
class _Entry(Generic[Item, Result]):
    item: Item
    cost: int
    deadline: float  # on the batcher's clock
    gone: Callable[[], bool]
    came: float
    woken: threading.Event = field(default_factory=threading.Event)
    leads: bool = False
    result: Result | None = None
    fault: BaseException | None = None


class Batcher(Generic[Item, Result]):
    """Calls ``work`` with several items at a time. Safe for many threads.

    ``work`` returns one result an item, in their order; it may be called again with single items after a fault.
    ``around`` is entered before a batch is put together and left when it is done.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Sequence[Result]],
        limits: Limits | None = None,
        watch: Watch | None = None,
        clock: Callable[[], float] = time.monotonic,
        around: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._work = work
        self._around = around
        self.limits = limits or Limits()
        self._watch = watch
        self._clock = clock
        self._changed = threading.Condition()
        self._waiting: deque[_Entry[Item, Result]] = deque()
        self._busy = 0
        self._last = 0  # items of the latest batch
        self._rate = 0.0  # items a second of one lane, measured

    def submit(
        self,
        item: Item,
        *,
        cost: int = 1,
        deadline: float = float("inf"),
        gone: Callable[[], bool] = lambda: False,
    ) -> Result:
        """The result of ``item``, worked on together with others.

        ``deadline`` on the batcher's clock; ``gone`` says whether the caller still wants it. Raises Busy when the queue
        is full, Late, Gone, or what ``work`` raised for this very item.
        """
        entry = _Entry[Item, Result](item, cost, deadline, gone, self._clock())
        with self._changed:
            if len(self._waiting) >= self.limits.queue:
                self._note_dropped("full")
                raise Busy(
                    f"{len(self._waiting)} questions are waiting already. Try again in a moment.",
                    retry_after=self.delay(),
                )
            self._waiting.append(entry)
            entry.leads = self._busy < self.limits.lanes
            if entry.leads:
                self._busy += 1
            else:
                self._changed.notify_all()  # a leader may be waiting for company
        if not entry.leads:
            entry.woken.wait()
        if entry.leads:
            self._lead(entry)
        if entry.fault is not None:
            raise entry.fault
        return entry.result  # type: ignore[return-value]  # without a fault there is one

    def delay(self) -> float:
        """Seconds until what waits now will be done, by the measured rate; 1 before anything was measured."""
        rate = self._rate * self.limits.lanes
        return (len(self._waiting) + self._busy * self._last + 1) / rate if rate else 1.0

    @property
    def waiting(self) -> int:
        """Items that wait for a batch."""
        return len(self._waiting)

    def _lead(self, own: _Entry[Item, Result]) -> None:
        """Work on one batch, which ``own`` is part of unless it is dropped, then hand the lane to the next."""
        with self._lane(), self._around():
            batch = self._gather(own)
            if batch:
                self._run(batch)

    @contextmanager
    def _lane(self) -> Iterator[None]:
        try:
            yield
        finally:
            with self._changed:
                heir = next((entry for entry in self._waiting if not entry.leads), None)
                if heir is None:
                    self._busy -= 1
                else:
                    heir.leads = True
                    heir.woken.set()

    def _gather(self, own: _Entry[Item, Result]) -> list[_Entry[Item, Result]]:
        """Take ``own`` and the oldest others, waiting for those of the last batch if there were several."""
        with self._changed:
            until = own.came + self.limits.wait
            while self._last > 1 and len(self._waiting) < min(self._last, self.limits.items):
                left = until - self._clock()
                if left <= 0 or not self._changed.wait(left):
                    break
            self._waiting.remove(own)
            taken = [own]
            cost = own.cost
            while self._waiting and len(taken) < self.limits.items:
                # an heir of another lane is left to lead its own batch
                following = next((entry for entry in self._waiting if not entry.leads), None)
                if following is None or cost + following.cost > self.limits.cost:
                    break
                self._waiting.remove(following)
                taken.append(following)
                cost += following.cost
            self._last = len(taken)
        now = self._clock()
        batch = [entry for entry in taken if self._wanted(entry, now)]
        if batch and self._watch is not None:
            self._watch.batch(len(batch), now - min(entry.came for entry in batch))
        return batch

    def _wanted(self, entry: _Entry[Item, Result], now: float) -> bool:
        if entry.gone():
            self._note_dropped("gone")
            entry.fault = Gone("The caller has gone.")
        elif now >= entry.deadline:
            self._note_dropped("late")
            entry.fault = Late(
                "The deadline passed before it was this question's turn. Try again in a moment."
            )
        if entry.fault is not None:
            entry.woken.set()
        return entry.fault is None

    def _run(self, batch: list[_Entry[Item, Result]]) -> None:
        started = self._clock()
        try:
            self._settle(batch)
        finally:
            taken = max(self._clock() - started, 1e-6)
            self._rate = (
                (1 - _RECENT) * self._rate + _RECENT * len(batch) / taken
                if self._rate
                else len(batch) / taken
            )
            for entry in batch:
                entry.woken.set()

    def _settle(self, batch: list[_Entry[Item, Result]]) -> None:
        """Give every entry its result or its own fault."""
        try:
            results = self._work([entry.item for entry in batch])
            for entry, result in zip(batch, results, strict=True):
                entry.result = result
        except Exception as fault:  # noqa: BLE001  it is raised where the item came from
            if len(batch) == 1:
                batch[0].fault = fault
                return
            for entry in batch:
                self._settle([entry])
        except BaseException as fault:  # the process is being stopped: nobody may wait for ever
            for entry in batch:
                entry.fault = fault
            raise

    def _note_dropped(self, why: str) -> None:
        if self._watch is not None:
            self._watch.dropped(why)
