"""Who gets in: requests that need the model are counted and, beyond a bound, refused before a thread is theirs.

Normally as many may be under way as ``FERRY_QUEUE`` says; batches live on them. Once more than that come at the same
time the server is overloaded: a long queue would now only make everybody wait, so no more than :data:`SHORT` a core are
let in until nobody has had to be refused for :data:`CALM` seconds. The others get 503 at once, with a ``Retry-After``
after which, by the measured rate, there is room for all who were refused in the last second.

The same place gives every request its :class:`workers.calls.Call`: until when an answer is of use (``FERRY_DEADLINE``
seconds, or fewer if the header ``X-Request-Timeout`` says so), and whether the client still waits. Django runs
synchronous views in threads that nothing can interrupt: work that has begun is finished, work that has not is dropped.
"""

from __future__ import annotations

import math
import re
import time
from collections import deque
from collections.abc import Callable

from webapp.refusals import Application, Message, Receive, Refusal, Scope, Send, refuse
from workers import calls, metrics
from workers.calls import Call

#: what needs the model: the search page and its parts, and the same verbs of the API
GUARDED = re.compile(
    r"/(?:texts/|compare/|lookup/|suggest/|molecules/[^/]+/.+/(?:neighbours|texts)/)?"
    r"|/api/v1/(?:search|suggest|molecules|structures|explanation|comparison|lookup)/.*"
)
#: requests a core that are let in while the server is overloaded; three on two cores instead of one were answered a
#: tenth more often, and took almost four times as long as without load (``python -m benchmarks.overload``)
SHORT = 0.5
#: seconds without a refusal after which it is no longer
CALM = 2.0
LONGEST_RETRY = 60
_HEADER = b"x-request-timeout"


class Gate:
    """Counts who is inside. Used from one event loop, hence without a lock."""

    def __init__(self, most: int, cores: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.most = most
        self.short = max(1, math.ceil(SHORT * cores))
        self.inside = 0
        self._clock = clock
        self._overloaded = False
        self._refused: deque[float] = deque(maxlen=100_000)
        self._left: deque[float] = deque(maxlen=1000)

    @property
    def overloaded(self) -> bool:
        """Whether more come than can be answered."""
        if self._overloaded and (not self._refused or self._clock() - self._refused[-1] > CALM):
            self._overloaded = False
        return self._overloaded

    def enter(self) -> bool:
        """Whether one more may come in; whoever may has to :meth:`leave`."""
        bound = min(self.short, self.most) if self.overloaded else self.most
        if self.inside >= bound:
            self._overloaded = True
            self._refused.append(self._clock())
            return False
        self.inside += 1
        return True

    def leave(self) -> None:
        """One has been answered."""
        self.inside -= 1
        self._left.append(self._clock())

    def retry_after(self) -> int:
        """Whole seconds until there is room for those inside and those refused in the last second."""
        now = self._clock()
        while self._refused and now - self._refused[0] > 1.0:
            self._refused.popleft()
        while self._left and now - self._left[0] > 5.0:
            self._left.popleft()
        rate = len(self._left) / 5.0
        if not rate:
            return 1
        return max(1, min(LONGEST_RETRY, math.ceil((self.inside + len(self._refused)) / rate)))


class Admission:
    """Wraps the application: 503 where the gate is closed, a :class:`Call` for whoever is let in."""

    def __init__(self, application: Application, gate: Gate, deadline: float) -> None:
        self.application = application
        self.gate = gate
        self.deadline = deadline

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or not GUARDED.fullmatch(scope["path"]):
            await self.application(scope, receive, send)
            return
        if not self.gate.enter():
            metrics.SHED.labels("full").inc()
            await _refuse(scope, send, self.gate.retry_after())
            return
        call = Call(time.monotonic() + min(self.deadline, _given(scope)))

        async def heard() -> Message:
            message = await receive()
            if message["type"] == "http.disconnect":
                call.gone = True
            return message

        async def answered(message: Message) -> None:
            if message["type"] == "http.response.start" and call.model:
                message["headers"] = [*message["headers"], (b"x-ferry-model", call.model.encode())]
            if message["type"] == "http.response.start" and message["status"] == 503:
                kept = [pair for pair in message["headers"] if pair[0].lower() != b"retry-after"]
                message["headers"] = [*kept, (b"retry-after", str(self.gate.retry_after()).encode())]
            await send(message)

        metrics.UNDER_WAY.inc()
        try:
            with calls.answering(call):
                await self.application(scope, heard, answered)
        finally:
            call.gone = True
            self.gate.leave()
            metrics.UNDER_WAY.dec()


def _given(scope: Scope) -> float:
    """The seconds that the caller is ready to wait; endless where it does not say so in a number."""
    for name, value in scope["headers"]:
        if name == _HEADER:
            try:
                seconds = float(value)
            except ValueError:
                return math.inf
            return seconds if seconds > 0 else math.inf
    return math.inf


async def _refuse(scope: Scope, send: Send, seconds: int) -> None:
    """503, and when to come back."""
    detail = "More searches come than this server can answer."
    remedy = f"Try again in {seconds} s."
    headers = ((b"cache-control", b"no-store"), (b"retry-after", str(seconds).encode()))
    await refuse(scope, send, Refusal(503, "busy", "The server is busy", detail, remedy), headers)
