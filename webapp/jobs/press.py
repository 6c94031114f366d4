"""Draws charts in a child process: the library holds Python's lock while it draws and keeps what memory it took, and
neither is to be felt by a search that the same server answers."""

from __future__ import annotations

import json
import select
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from workers.inference import Busy

PATIENCE = 20.0  # seconds for one drawing; the first, with the start of the process, takes about two
KEPT = 256  # drawings, some 25 kB each

_lock = threading.Lock()
_child: subprocess.Popen[bytes] | None = None


def draw(specification: Mapping[str, Any]) -> str:
    """The SVG of a Vega-Lite specification; the same one is drawn once. Raises Busy when there is no answer in time."""
    return _drawn(json.dumps(specification, sort_keys=True))


@lru_cache(maxsize=KEPT)
def _drawn(line: str) -> str:
    with _lock:
        answer = _ask(line) or _ask(line)  # a child that had ended for want of work is followed by a new one
    if answer is None:
        raise Busy("The chart could not be drawn. Try again; the numbers are in the CSV file.")
    if "error" in answer:
        raise ValueError(f"The chart cannot be drawn: {answer['error']}")
    return str(answer["svg"])


def _ask(line: str) -> dict[str, Any] | None:
    """The child's answer; None when it has ended or takes too long, and then it is gone."""
    child = _running()
    assert child.stdin is not None
    assert child.stdout is not None
    with suppress(OSError):
        child.stdin.write(line.encode() + b"\n")
        child.stdin.flush()
        if select.select([child.stdout], [], [], PATIENCE)[0]:
            said = child.stdout.readline()
            if said:
                return dict(json.loads(said))
    close()
    return None


def _running() -> subprocess.Popen[bytes]:
    global _child  # noqa: PLW0603  one child a process
    if _child is None or _child.poll() is not None:
        close()
        command = [sys.executable, "-I", str(Path(__file__).with_name("plotter.py"))]
        _child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    return _child


def close() -> None:
    """End the child, if there is one."""
    global _child
    child, _child = _child, None
    if child is None:
        return
    child.kill()
    child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            with suppress(OSError):  # what was still to be written has no reader any more
                pipe.close()
