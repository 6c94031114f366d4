"""Killable child processes in which everything that parses a user's structure or pattern runs.

A molecule or a SMARTS pattern can hang or crash compiled code that no Python limit reaches. So such calls run
in a few persistent children (started by ``exec``, never by forking a process that holds threads) with a
wall-clock limit, a memory limit and an empty environment. A hang or a crash costs one child, which is
replaced on the next call, and gives the caller a :class:`~mlcore.runtime.errors.LimitError` or
:class:`~mlcore.runtime.errors.InputError` in words.

A call costs about 0.2 ms on top of the work itself; starting a child costs about half a second, once.
"""

from __future__ import annotations

import atexit
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from mlcore.runtime.errors import InputError, LimitError
from mlcore.runtime.sandbox_wire import PREFIX, pack, sizes, unpack

#: seconds of wall-clock time a call may take unless it says otherwise
SECONDS = 2.0
#: bytes of address space a child may use
MEMORY = 2 * 1024**3
#: seconds a caller waits for a free child, and for a new child to be ready
PATIENCE = 20.0
#: what a child loads before its first call
PRELOAD = "mlcore.retrieval.inside.structures"


class _Died(Exception):
    """The child has ended without an answer."""


class _Late(Exception):
    """The child has not answered in time."""


def _wait(descriptor: int, event: int, deadline: float) -> None:
    """Wait until ``descriptor`` is ready (or hung up); raises :class:`_Late` at the deadline."""
    poll = select.poll()  # not select(): a busy server has more than 1,024 descriptors
    poll.register(descriptor, event)
    if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        raise _Late


class _Child:
    """One child process and the two pipes to it."""

    def __init__(self, memory: int, preload: str) -> None:
        root = str(Path(__file__).resolve().parents[2])
        path = [root, *(entry for entry in sys.path if entry and entry != root)]
        self._process = subprocess.Popen(
            [sys.executable, "-B", "-m", "mlcore.runtime.sandbox_child", str(memory), preload],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=root,
            env={"PYTHONPATH": os.pathsep.join(path), "OMP_NUM_THREADS": "1", "LANG": "C.UTF-8"},
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._write = self._process.stdin.fileno()
        self._read = self._process.stdout.fileno()
        os.set_blocking(self._write, False)
        try:
            self._receive(time.monotonic() + PATIENCE)
        except (_Died, _Late):
            self.kill()
            raise RuntimeError(
                "The structure service could not be started: is rdkit installed and is there memory?"
            ) from None

    def call(self, message: bytes, seconds: float) -> tuple[Any, bytes]:
        """Send ``message`` and wait for the answer, ``seconds`` at most."""
        deadline = time.monotonic() + seconds
        self._send(message, deadline)
        return self._receive(deadline)

    def _send(self, message: bytes, deadline: float) -> None:
        view = memoryview(message)
        while view:
            _wait(self._write, select.POLLOUT, deadline)
            try:
                view = view[os.write(self._write, view) :]
            except BlockingIOError:
                continue
            except OSError:
                raise _Died from None

    def _take(self, count: int, deadline: float) -> bytes:
        parts: list[bytes] = []
        while count:
            _wait(self._read, select.POLLIN, deadline)
            part = os.read(self._read, min(count, 1 << 20))
            if not part:
                raise _Died
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def _receive(self, deadline: float) -> tuple[Any, bytes]:
        try:
            header, blob = sizes(self._take(PREFIX.size, deadline))
            return unpack(self._take(header + blob, deadline), header)
        except ValueError:
            raise _Died from None

    def kill(self) -> None:
        """End the process and close the pipes."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()


class Sandbox:
    """A small pool of children; safe to call from any number of threads.

    ``workers`` children at most run at once; they are started when first needed. ``memory`` is in bytes of
    address space, ``seconds`` the default limit of a call.
    """

    def __init__(
        self, workers: int = 2, *, seconds: float = SECONDS, memory: int = MEMORY, preload: str = PRELOAD
    ) -> None:
        if workers < 1:
            raise ValueError("a sandbox needs at least one worker")
        self.seconds = seconds
        self._workers = workers
        self._memory = memory
        self._preload = preload
        self._forget()
        atexit.register(self.close)

    def _forget(self) -> None:
        self._owner = os.getpid()
        self._idle: list[_Child] = []
        self._lock = threading.Lock()
        self._free = threading.Semaphore(self._workers)

    def call(
        self, function: str, arguments: Mapping[str, Any], *, seconds: float | None = None, blob: bytes = b""
    ) -> tuple[Any, bytes]:
        """Run ``function`` (``package.module:function``) in a child; its JSON value and the bytes beside it.

        ``arguments`` are its keyword arguments as JSON can carry them; ``blob``, when given, arrives as
        ``blob=``.

        Raises :class:`LimitError` when it takes longer than ``seconds``, uses too much memory or no child is
        free, :class:`InputError` when the function refuses its input or the child crashes on it.
        """
        if os.getpid() != self._owner:  # after a fork the children belong to the other process
            self._forget()
        limit = self.seconds if seconds is None else seconds
        message = pack({"function": function, "arguments": dict(arguments), "seconds": limit}, blob)
        if not self._free.acquire(timeout=PATIENCE):
            raise LimitError(
                "Too many structures are being read at this moment.", remedy="Try again in a few seconds."
            )
        try:
            child = self._take()
            try:
                header, data = child.call(message, limit)
            except _Late:
                child.kill()
                raise LimitError(
                    f"Reading this took longer than {limit:g} s and was stopped.",
                    remedy="Try a smaller structure or a simpler pattern.",
                ) from None
            except _Died:
                child.kill()
                raise InputError(
                    "This structure or pattern made the chemistry toolkit stop.",
                    remedy="Try a smaller structure or a simpler pattern.",
                ) from None
            except BaseException:
                child.kill()
                raise
            with self._lock:
                self._idle.append(child)
        finally:
            self._free.release()
        return _opened(header), data

    def _take(self) -> _Child:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return _Child(self._memory, self._preload)

    def warm(self) -> None:
        """Start one child now, so that the first user does not wait for it."""
        child = self._take()
        with self._lock:
            self._idle.append(child)

    def close(self) -> None:
        """End all idle children."""
        if os.getpid() != self._owner:
            return
        with self._lock:
            children, self._idle = self._idle, []
        for child in children:
            child.kill()


def _opened(header: dict[str, Any]) -> Any:
    """The value of an answer, or the fault it reports."""
    fault = header.get("fault")
    if fault is None:
        return header["value"]
    if fault == "memory":
        raise LimitError(
            "Reading this needs more memory than is allowed.",
            remedy="Try a smaller structure or a simpler pattern.",
        )
    if fault in ("input", "limit"):
        kind = LimitError if fault == "limit" else InputError
        raise kind(header["message"], field=header["field"], place=header["place"], remedy=header["remedy"])
    raise RuntimeError(f"the sandbox could not run the call: {header['message']}")


@cache
def shared() -> Sandbox:
    """The process's own sandbox, made on first use."""
    return Sandbox()
