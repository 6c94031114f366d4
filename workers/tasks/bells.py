"""The bell: a message that says which job to look at."""

from __future__ import annotations

from workers.celery import app


@app.task(name="workers.run_job")
def run_job(pk: str) -> None:
    """Do a job if it still waits; a bell that rings twice does nothing the second time."""
    from workers import work

    work.perform(pk)
