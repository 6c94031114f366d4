"""Run inside a network namespace of its own, where there is no network but this machine: start Ferry, ask it, kill a
worker, and tell as JSON what happened."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = ("192.0.2.1", 80)  # TEST-NET-1, RFC 5737
SIOCSIFFLAGS, IFF_UP = 0x8914, 1


def loopback_up() -> None:
    """A new namespace has its loopback down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        fcntl.ioctl(probe, SIOCSIFFLAGS, struct.pack("16sh", b"lo", IFF_UP))


def denied() -> str:
    """What a connection to elsewhere ends with."""
    try:
        socket.create_connection(OUTSIDE, timeout=2).close()
    except OSError as error:
        return type(error).__name__ + f" {error.errno}"
    return ""


def fetch(server: subprocess.Popen[bytes], port: int, path: str, patience: float) -> Any:
    """JSON from the server, waited for while that runs."""
    until = time.monotonic() + patience
    while True:
        try:
            with urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
                return json.load(answer)
        except OSError:
            if time.monotonic() > until or server.poll() is not None:
                raise
            time.sleep(0.2)


def workers(data: Path) -> dict[str, int]:
    """Process number by what the worker listens to."""
    with sqlite3.connect(data / "ferry.sqlite3", timeout=20) as link:
        rows = link.execute("SELECT name, queues FROM workers_worker ORDER BY started").fetchall()
    return {"+".join(sorted(json.loads(queues))): int(name.rpartition(":")[2]) for name, queues in rows}


def held_by(process: int) -> Any:
    """A job whose lease that process holds for another hour."""
    import django

    django.setup()
    from django.utils import timezone

    from workers.models import Job

    held = {"state": "running", "worker": f"{socket.gethostname()}:{process}", "token": 1, "attempts": 1}
    lease = timezone.now() + timedelta(hours=1)
    return Job.objects.create(
        kind="monge", queue="training", parameters={"data": {"source": "none"}}, lease_until=lease, **held
    )


def taken_again(job: Any) -> Any:
    """The job once another worker has ended it."""
    job.refresh_from_db()
    return job if job.finished else None


def until(condition: Any, patience: float = 40) -> Any:
    """The first value that counts as true."""
    end = time.monotonic() + patience
    while not (value := condition()):
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.2)
    return value


def main(data: Path) -> dict[str, Any]:
    loopback_up()
    out: dict[str, Any] = {"denied": denied()}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (data / "serve.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "manage.py", "serve", "--port", str(port)], cwd=ROOT, stdout=log, stderr=log
        )
        try:
            out["ready"] = fetch(server, port, "/health/ready", 90)["ready"]
            found = fetch(server, port, "/api/v1/search/?q=a+fragrant+alcohol+from+roses&k=3", 5)
            out["hits"] = [hit["molecule"]["name"] for hit in found["hits"]]
            before = until(lambda: (found := workers(data)) and len(found) == 2 and found)
            job = held_by(before["training"])
            os.kill(before["training"], signal.SIGKILL)
            after = until(lambda: (found := workers(data)).get("training") != before["training"] and found)
            taken = until(lambda: taken_again(job))
            out["job"] = [taken.attempts, taken.state, taken.error]
            out["workers"] = [sorted(before), sorted(after)]
            out["other_lives_on"] = before["indexing"] == after["indexing"]
            status = subprocess.run(
                [sys.executable, "manage.py", "restore", "any.zip"],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=False,
            )
            out["restore_refused"] = "running" in status.stderr
        finally:
            server.send_signal(signal.SIGTERM)
            out["ended"] = server.wait(40)
    out["log"] = (data / "serve.log").read_text(errors="replace")
    return out


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    print(json.dumps(main(Path(sys.argv[1]))))
