"""How work that failed is told: in words that name the cause, without the words of our own faults."""

from __future__ import annotations

import errno
import logging
from typing import Any

from django.db import InterfaceError, OperationalError

from workers.errors import BadInput, Busy, NotFound
from workers.models import Job

log = logging.getLogger(__name__)

#: pass by themselves, so that trying again may help
PASSING = (OperationalError, InterfaceError, ConnectionError, TimeoutError)
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def told(job: Job, fault: Exception) -> tuple[str, dict[str, Any], str]:
    """The state that a job is in after ``fault`` (*queued*: to be tried again), its result, and the error in words."""
    state, result, error = str(Job.State.FAILED), {}, str(fault)
    if isinstance(fault, BadInput):
        result = {"problem": {name: getattr(fault, name) for name in ("message", "field", "remedy")}}
    elif isinstance(fault, OSError) and fault.errno in FULL:
        error = "The disk is full. What was finished is kept: free some space, then resume."
    elif isinstance(fault, PASSING):
        log.warning("job %s met a fault that may pass: %s", job.pk, fault)
        state = str(Job.State.QUEUED)
        who = "The database" if isinstance(fault, OperationalError | InterfaceError) else "A service"
        error = f"{who} was away ({type(fault).__name__}). It is tried again by itself."
    elif isinstance(fault, MemoryError):
        error = "There was not enough memory. Retry it on a larger machine or with less data."
    elif not isinstance(fault, NotFound | Busy):
        log.error("job %s failed", job.pk, exc_info=fault)
        named = type(fault).__name__
        error = f"The work ended unexpectedly ({named}). The server's log has the details."
    return state, result, error
