"""Functions that misbehave on purpose, so that an operator's self-check and the tests can see the sandbox hold."""

from __future__ import annotations

import os
import signal
import sys
import time


def echo(value: object) -> object:
    """Give back what came in."""
    return value


def sleep(seconds: float) -> None:
    """Take ``seconds`` of wall-clock time."""
    time.sleep(seconds)


def crash() -> None:
    """End the process the way a fault in compiled code does."""
    os.kill(os.getpid(), signal.SIGSEGV)


def grow(megabytes: int) -> int:
    """Ask for ``megabytes`` of memory at once."""
    return len(bytearray(megabytes * 1024 * 1024))


def modules() -> list[str]:
    """The names of the top-level modules that the child has loaded."""
    return sorted({name.partition(".")[0] for name in sys.modules})


def environment() -> dict[str, str]:
    """What the child can see of the environment."""
    return dict(os.environ)


def process() -> int:
    """The child's process id."""
    return os.getpid()
