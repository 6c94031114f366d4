"""A worker killed with -9 in the middle of a job, and the sweeper that notices."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from django.db import connection

from workers import jobs
from workers.models import Job

ROOT = Path(__file__).resolve().parents[2]
LEASE = 1.5  # seconds, of the process that is killed


def kill_at_work(script: str, job: Job, settings: Any, records: int = 64) -> None:
    """Run ``script`` (its arguments: the job's key and the data folder) and kill it once ``records`` are done."""
    settings.FERRY_LEASE = LEASE
    environment = {
        **os.environ,
        "DATABASE_URL": f"sqlite:///{connection.settings_dict['NAME']}",
        "DJANGO_SETTINGS_MODULE": "webapp.settings",
        "FERRY_LEASE": str(LEASE),
        "FERRY_HEARTBEAT": "0.3",
    }
    victim = subprocess.Popen(
        [sys.executable, "-c", script, str(job.pk), str(settings.FERRY_DATA)], cwd=ROOT, env=environment
    )
    try:
        until = time.monotonic() + 60
        while Job.objects.get(pk=job.pk).progress.get("done", 0) < records:
            assert victim.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < until
            time.sleep(0.05)
    finally:
        victim.send_signal(signal.SIGKILL)
        victim.wait()
    job.refresh_from_db()
    assert job.state == "running"


def sweep_until_found() -> None:
    """Sweep until the lease of the dead has run out."""
    until = time.monotonic() + 20
    while jobs.sweep() == 0:
        assert time.monotonic() < until
        time.sleep(0.2)
