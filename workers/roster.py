"""Which worker processes there are: each signs once a round of its sweeper, and one that has long been silent is struck
off."""

from __future__ import annotations

import os
import platform
import socket
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from workers.models import Worker

STRUCK_OFF = timedelta(days=1)
_started = timezone.now()


def name() -> str:
    """How this process signs."""
    return f"{socket.gethostname()}:{os.getpid()}"


def sign(queues: Sequence[str]) -> None:
    """Sign as a worker that listens to ``queues``."""
    now = timezone.now()
    facts: dict[str, Any] = {
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "device": settings.FERRY_DEVICE,
    }
    Worker.objects.update_or_create(
        name=name(), defaults={"queues": list(queues), "facts": facts, "started": _started, "seen": now}
    )
    Worker.objects.filter(seen__lt=now - STRUCK_OFF).delete()


def leave() -> None:
    """Take this process off the list."""
    Worker.objects.filter(name=name()).delete()
