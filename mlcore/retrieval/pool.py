"""Killable worker processes: one item that hangs or crashes costs that item, never the work.

A worker is a plain child process that is handed a pickled function and then lists of argument tuples, and
answers item by item over its pipes. It runs each item under a timer of computing time and a limit of memory;
the parent watches the wall clock as well. When a worker dies, the item it was at is answered with a
:class:`Failure` and a fresh worker goes on with the rest. Being a plain child process it works below daemons,
in threads and without a guarded ``__main__``.
"""

from __future__ import annotations

import os
import pickle
import queue
import select
import signal
import struct
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, cast

_START_SECONDS = 120.0
#: how many times its computing time an item may take by the clock (the machine may be busy)
_PATIENCE = 4


@dataclass(frozen=True)
class Failure:
    """The answer for an item that killed its worker."""

    reason: str


class WorkerPool:
    """``workers`` child processes that apply ``function`` (picklable) to items.

    ``seconds`` of computing and ``memory`` bytes are allowed for one item. Workers start when they are first
    needed.
    """

    def __init__(
        self, function: Callable[..., Any], *, workers: int, seconds: float = 10.0, memory: int = 4 << 30
    ) -> None:
        self._task = pickle.dumps(function)
        self._workers = max(1, workers)
        self._seconds = seconds
        self._memory = memory
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self._threads = ThreadPoolExecutor(self._workers, thread_name_prefix="pool")
        self._alive: set[_Worker] = set()
        self._lock = threading.Lock()
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def map(
        self, chunks: Iterable[tuple[Any, Sequence[tuple[Any, ...]]]], ahead: int
    ) -> Iterator[tuple[Any, list]]:
        """For every ``(tag, items)``: ``(tag, answers)``, in order, at most ``ahead`` under way."""
        waiting: deque[tuple[Any, Future[list[Any]]]] = deque()
        for tag, items in chunks:
            waiting.append((tag, self._threads.submit(self._chunk, items)))
            if len(waiting) >= ahead:
                done, future = waiting.popleft()
                yield done, future.result()
        while waiting:
            done, future = waiting.popleft()
            yield done, future.result()

    def close(self) -> None:
        """Stop all workers, also those that are at work."""
        with self._lock:
            self._closed = True
            for worker in self._alive:
                worker.kill()
        self._threads.shutdown(wait=True, cancel_futures=True)
        for worker in self._alive:
            worker.stop()
        self._alive.clear()

    def _worker(self) -> _Worker:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            worker = _Worker(self._task, self._seconds, self._memory)
        with self._lock:
            self._alive.add(worker)
            if self._closed:
                worker.kill()
        return worker

    def _chunk(self, items: Sequence[tuple[Any, ...]]) -> list[Any]:
        answers: list[Any] = []
        while len(answers) < len(items) and not self._closed:
            worker = self._worker()
            failure = worker.work(items[len(answers) :], answers)
            if failure is None:
                self._idle.put(worker)
                continue
            answers.append(failure)
            with self._lock:
                self._alive.discard(worker)
            worker.stop()
        return answers


class _Worker:
    """One child process, seen from the parent."""

    def __init__(self, task: bytes, seconds: float, memory: int) -> None:
        path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from mlcore.retrieval.pool import serve; serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        )
        self._seconds = seconds
        self._in = cast("BinaryIO", self._process.stdin)
        self._out = cast("BinaryIO", self._process.stdout)
        with suppress(BrokenPipeError):  # the missing answer tells
            _send(self._in, pickle.dumps((task, seconds, memory)))
        try:
            ready = self._answer(_START_SECONDS)
        except (EOFError, TimeoutError) as fault:
            self.stop()
            raise RuntimeError("a worker process could not be started") from fault
        if ready is not None:
            self.stop()
            raise RuntimeError(f"a worker process could not be started: {ready}")

    def work(self, items: Sequence[tuple[Any, ...]], answers: list[Any]) -> Failure | None:
        """Append an answer for each of ``items``; a :class:`Failure` for the one at which the worker died."""
        try:
            _send(self._in, pickle.dumps(list(items)))
            for _ in items:  # one by one: what arrived before a failure counts
                answers.append(self._answer(self._seconds * _PATIENCE))  # noqa: PERF401
        except TimeoutError:
            return Failure(f"it took more than {self._seconds * _PATIENCE:g} seconds")
        except (EOFError, BrokenPipeError):
            code = self._process.wait()
            if code == -signal.SIGPROF:
                return Failure(f"it took more than {self._seconds:g} seconds of computing")
            return Failure("it made RDKit fail")
        return None

    def _answer(self, seconds: float) -> Any:
        size = struct.unpack("<Q", self._exactly(8, seconds))[0]
        return pickle.loads(self._exactly(size, seconds))  # noqa: S301 - from our own child

    def _exactly(self, count: int, seconds: float) -> bytes:
        parts: list[bytes] = []
        while count:
            if not select.select([self._out], [], [], seconds)[0]:
                raise TimeoutError
            part = os.read(self._out.fileno(), min(count, 1 << 20))
            if not part:
                raise EOFError
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def kill(self) -> None:
        """End the process; whoever waits for an answer learns that there will be none."""
        self._process.kill()

    def stop(self) -> None:
        """Kill the process, reap it and close its pipes."""
        self._process.kill()
        self._process.wait()
        self._out.close()
        try:
            self._in.close()
        except BrokenPipeError:
            return


def _send(file: BinaryIO, data: bytes) -> None:
    file.write(struct.pack("<Q", len(data)) + data)
    file.flush()


def _receive(file: BinaryIO) -> bytes | None:
    head = file.read(8)
    if len(head) < 8:
        return None
    size = struct.unpack("<Q", head)[0]
    data = file.read(size)
    return data if len(data) == size else None


def serve() -> None:
    """The whole life of a worker process: set up, then lists of items until its input ends."""
    import resource

    inbox = sys.stdin.buffer
    outbox = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # nothing that prints may disturb the answers
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    first = _receive(inbox)
    if first is None:
        return
    try:
        task, seconds, memory = pickle.loads(first)  # noqa: S301 - from our own parent
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (memory, resource.getrlimit(resource.RLIMIT_AS)[1]))
        function = pickle.loads(task)  # noqa: S301
    except Exception as fault:  # noqa: BLE001 - told to the parent, whatever it is
        _send(outbox, pickle.dumps(f"{type(fault).__name__}: {fault}"))
        return
    _send(outbox, pickle.dumps(None))
    try:
        while (data := _receive(inbox)) is not None:
            for item in pickle.loads(data):  # noqa: S301
                signal.setitimer(signal.ITIMER_PROF, seconds)
                answer = function(*item)
                signal.setitimer(signal.ITIMER_PROF, 0)
                _send(outbox, pickle.dumps(answer))
    except BrokenPipeError:
        os._exit(0)  # the parent is gone: nobody to answer
