"""Sending a notice, again later where the receiver is away."""

from __future__ import annotations

import logging
from typing import Any

from workers.celery import app

log = logging.getLogger(__name__)
FIRST_WAIT = 10.0  # seconds before the second try, doubled for each further one


@app.task(name="workers.tell", bind=True, max_retries=None)
def tell(self: Any, pk: str, state: str, channel: str) -> None:
    """Tell over ``channel`` that a job has come to ``state``; given up after a while, or when it is refused."""
    from workers import notices
    from workers.models import Job

    job = Job.objects.select_related("owner").filter(pk=pk).first()
    if job is None:
        return
    try:
        notices.send(channel, notices.notice(job, state))
    except notices.Undelivered as fault:
        tried = self.request.retries + 1
        if not fault.again or tried >= notices.MOST_TRIES:
            log.warning("the %s is not told that job %s is %s: %s", channel, pk, state, fault)
            return
        wait = min(FIRST_WAIT * 2**self.request.retries, notices.LONGEST_WAIT)
        raise self.retry(countdown=wait, exc=fault) from None
