"""``metrics.jsonl``: one JSON object a line, in the order in which things happened, none of them twice."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any


class Curves:
    """The metrics of one run; every line has ``time`` (Unix seconds), ``step`` and ``epoch`` (completed ones)."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, step: int, epoch: int, **values: Any) -> None:
        with self.path.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps({"time": time.time(), "step": step, "epoch": epoch, **values}) + "\n")

    def cut(self, step: int, epoch: int) -> None:
        """Leave out what was written after ``step`` or with more than ``epoch`` completed epochs, and a torn last line.

        A run that goes on from a checkpoint says those things again.
        """
        if not self.path.exists():
            return
        lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = "".join(line for line in lines if _within(line, step, epoch))
        part = self.path.with_name(f"{self.path.name}.part")
        part.write_text(kept, encoding="utf-8")
        part.replace(self.path)


def _within(line: str, step: int, epoch: int) -> bool:
    try:
        entry = json.loads(line)
        return line.endswith("\n") and 0 < entry["step"] <= step and entry["epoch"] <= epoch
    except (ValueError, KeyError, TypeError):
        return False
