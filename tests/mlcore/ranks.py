"""Processes that train together, started as torchrun starts them but without its supervisor."""

from __future__ import annotations

import importlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit status and all it wrote."""

    status: int
    output: str


def environment() -> dict[str, str]:
    """For a child of the tests: one thread, and its peers on this machine."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", "PYTHONPATH": str(ROOT)}


def launch(
    function: Callable[[Path], None], folder: Path, world: int = 2, seconds: float = 90
) -> list[Ended]:
    """Run a module's ``function(folder)`` in ``world`` processes; what outlives ``seconds`` is killed (status -9)."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    place = {"WORLD_SIZE": str(world), "LOCAL_WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1"}
    command = [
        sys.executable,
        "-m",
        "tests.mlcore.ranks",
        function.__module__,
        function.__name__,
        str(folder),
    ]
    started = [
        subprocess.Popen(
            command,
            env={**environment(), **place, "MASTER_PORT": str(port), "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT,
        )
        for rank in range(world)
    ]  # fmt: skip
    ended = []
    for process in started:
        try:
            output = process.communicate(timeout=seconds)[0]
        except subprocess.TimeoutExpired:
            process.kill()
            output = process.communicate()[0]
        ended.append(Ended(process.returncode, output))
    return ended


if __name__ == "__main__":
    module, name, folder = sys.argv[1:]
    getattr(importlib.import_module(module), name)(Path(folder))
