"""Keeps a few processes running side by side and ends all of them together."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType

log = logging.getLogger(__name__)

POLL_SECONDS = 0.2
GRACE_SECONDS = 15.0
RESTART_SECONDS = 2.0


@dataclass
class Child:
    """One process: what it is called, how it is started, and whether the others can do without it for a moment."""

    name: str
    command: Sequence[str]
    environment: dict[str, str] = field(default_factory=dict)
    essential: bool = True
    process: subprocess.Popen[bytes] | None = None
    again_at: float = 0.0

    def start(self) -> None:
        """Start it in a process group of its own, so that a Ctrl-C reaches the supervisor alone."""
        environment = {**os.environ, **self.environment}
        self.process = subprocess.Popen(list(self.command), env=environment, start_new_session=True)
        log.info("%s runs as process %d", self.name, self.process.pid)

    def signal(self, number: int) -> None:
        """Send a signal to its process; nothing happens when it has ended."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def kill_group(self) -> None:
        """End whatever is left of it and its children."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class Supervisor:
    """Starts children, restarts those that may fail, and stops all when an essential one ends or on a signal."""

    def __init__(self, children: Sequence[Child]) -> None:
        self.children = list(children)
        self.stopping = False
        self.failed = False

    def run(self) -> int:
        """Run until a signal or the end of an essential child; 0 after a signal, 1 otherwise."""
        before = {
            number: signal.signal(number, self._stop)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        }
        try:
            for child in self.children:
                child.start()
            while not self.stopping:
                self._look()
                time.sleep(POLL_SECONDS)
        finally:
            self._end()
            for number, handler in before.items():
                signal.signal(number, handler)
        return 1 if self.failed else 0

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True

    def _look(self) -> None:
        for child in self.children:
            code = child.process.poll() if child.process is not None else 0
            if child.process is None:
                if time.monotonic() >= child.again_at:
                    child.start()
            elif code is not None and child.essential:
                log.error("%s ended by itself with %s; stopping", child.name, code)
                self.stopping = self.failed = True
            elif code is not None:
                log.error("%s ended with %s; starting it again in %.0f s", child.name, code, RESTART_SECONDS)
                child.kill_group()
                child.process, child.again_at = None, time.monotonic() + RESTART_SECONDS

    def _end(self) -> None:
        for child in self.children:
            child.signal(signal.SIGTERM)
        deadline = time.monotonic() + GRACE_SECONDS
        for child in self.children:
            if child.process is None:
                continue
            try:
                child.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("%s did not stop in %.1f s and is ended", child.name, GRACE_SECONDS)
            child.kill_group()
