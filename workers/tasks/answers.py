"""Answering questions of the inference door on another machine."""

from __future__ import annotations

import time
from typing import Any

from workers.celery import app


@app.task(name="workers.answer", acks_late=False)
def answer(key: str, verb: str, arguments: dict[str, Any], deadline: float) -> None:
    """Answer unless the asker has given up already."""
    from workers import remote

    left = deadline - time.time()
    if left > 0:
        remote.reply(key, verb, arguments, left)
