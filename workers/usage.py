"""What this process uses of its machine."""

from __future__ import annotations

import os
import resource
import sys
import time
from pathlib import Path


class Usage:
    """Memory and processor of this process, and memory of its accelerator."""

    def __init__(self) -> None:
        self._last = (time.monotonic(), time.process_time())

    def now(self) -> dict[str, float]:
        """``memory_mb``, ``cpu_percent`` since the last call (100: one core), ``gpu_memory_mb`` where there is one."""
        clock, cpu = time.monotonic(), time.process_time()
        before, used = self._last
        self._last = (clock, cpu)
        share = 100 * (cpu - used) / (clock - before) if clock > before else 0.0
        out = {"memory_mb": round(self.memory_mb(), 1), "cpu_percent": round(share, 1)}
        torch = sys.modules.get("torch")  # asked only where the work has loaded it
        if torch is not None and torch.cuda.is_initialized():
            out["gpu_memory_mb"] = round(torch.cuda.memory_allocated() / 1e6, 1)
        return out

    @staticmethod
    def memory_mb() -> float:
        """Resident memory; the most so far where the system does not tell the present."""
        try:
            pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
            return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
        except (OSError, ValueError):
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
