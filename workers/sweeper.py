"""A thread beside every worker that looks for jobs whose worker went silent and for files nobody wants."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Sequence

from django.conf import settings
from django.db import close_old_connections, connections

log = logging.getLogger(__name__)

_stopping = threading.Event()


def start(queues: Sequence[str] = ()) -> threading.Thread:
    """Start sweeping, every ``FERRY_SWEEP`` seconds until :func:`stop`; sign as a worker that listens to ``queues``."""
    _stopping.clear()
    thread = threading.Thread(target=_run, args=(tuple(queues),), name="sweeper", daemon=True)
    thread.start()
    return thread


def stop() -> None:
    """End the thread after its present round."""
    _stopping.set()


def sign() -> None:
    """Leave a sign of life that a container's health check looks at: ``FERRY_DATA/workers/<host name>``."""
    folder = settings.FERRY_DATA / "workers"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / socket.gethostname()).touch()


def _run(queues: Sequence[str]) -> None:
    from workers import jobs, leftovers, roster

    wait = 0.0  # the first round at once: what was lost while no worker ran is found at start
    while not _stopping.wait(wait):
        wait = settings.FERRY_SWEEP
        close_old_connections()
        try:
            sign()
            roster.sign(queues)
            jobs.release_dead()
            rung = jobs.sweep()
            leftovers.clear()
            if rung:
                log.info("the sweeper rang for %d jobs", rung)
        except Exception:  # a database that is away comes back
            log.exception("the sweeper failed and will try again")
        finally:
            connections.close_all()
    try:
        roster.leave()
    except Exception:
        log.exception("the list of workers still names this one")
    finally:
        connections.close_all()
