"""Following a job from the terminal, from the same stream of events that the page reads."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

from tqdm import tqdm

from workers import events
from workers.models import Job

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0


def follow(job: Job) -> Iterator[dict[str, Any]]:
    """What the job tells, from now on until it has ended; the row's own state last. A stream that is away is waited
    for: the row is the truth."""
    seen = 0
    while True:
        job.refresh_from_db()
        ended = job.state not in Job.OPEN
        try:
            news = events.subscribe(job.stream, seen, wait=0 if ended else LOOK_SECONDS)
        except Exception as error:  # noqa: BLE001  whatever the stream's client raises
            log.debug("no news of %s: %s", job, error)
            news = []
            time.sleep(0 if ended else LOOK_SECONDS)
        seen = news[-1].seq if news else seen
        yield from (event.data for event in news if "done" in event.data)
        if ended:
            yield {"state": str(job.state), **job.progress}
            return


def watch(job: Job, say: Callable[[str], Any]) -> str:
    """Show the job's progress on standard error until it has ended; the state it ended in.

    ``say`` is given one line for every change of state, and the error.
    """
    label = f"{job.name or job.kind} {str(job.pk)[:8]}"
    state = ""
    with tqdm(desc=label, dynamic_ncols=True, mininterval=0.5, leave=False) as bar:
        for news in follow(job):
            if news["state"] != state:
                state = news["state"]
                with bar.external_write_mode():
                    say(f"{label} is {state}")
            bar.total = news.get("total")
            metrics = news.get("metrics", {})
            bar.set_postfix({name: f"{value:.4g}" for name, value in metrics.items()}, refresh=False)
            bar.update(int(news.get("done", 0)) - bar.n)
    if job.error:
        say(f"{label}: {job.error}")
    return str(job.state)
