"""The supervisor: what fails is started again, what is essential takes everything down, nothing is left behind."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

from workers import supervisor
from workers.supervisor import Child, Supervisor

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


def alive(pid: int) -> bool:
    """Whether the process runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def meanwhile(action) -> None:
    """Do something while the supervisor runs in the main thread, then ask this process to stop."""

    def act() -> None:
        try:
            action()
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=act, daemon=True).start()


def until(condition) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_signal_ends_all_and_counts_as_success():
    children = [Child("one", SLEEP), Child("two", SLEEP, essential=False)]
    meanwhile(lambda: until(lambda: all(child.process for child in children)))
    assert Supervisor(children).run() == 0
    assert not any(alive(child.process.pid) for child in children)


def test_the_end_of_an_essential_child_ends_all():
    other = Child("other", SLEEP)
    assert Supervisor([other, Child("web", [sys.executable, "-c", "raise SystemExit(3)"])]).run() == 1
    assert not alive(other.process.pid)


def test_a_child_that_may_fail_is_started_again(monkeypatch):
    monkeypatch.setattr(supervisor, "RESTART_SECONDS", 0.1)
    worker = Child("worker", SLEEP, essential=False)
    seen: list[int] = []

    def kill() -> None:
        until(lambda: worker.process)
        seen.append(worker.process.pid)
        os.kill(seen[0], signal.SIGKILL)
        until(lambda: worker.process and worker.process.pid != seen[0])
        seen.append(worker.process.pid)

    meanwhile(kill)
    assert Supervisor([worker]).run() == 0
    assert len(seen) == 2


def test_who_ignores_the_request_is_ended_with_its_children(monkeypatch, tmp_path):
    monkeypatch.setattr(supervisor, "GRACE_SECONDS", 0.5)
    note = tmp_path / "grandchild"
    stubborn = (
        "import signal, subprocess, sys, time, pathlib; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        f"pathlib.Path({str(note)!r}).write_text(str(child.pid)); time.sleep(60)"
    )
    child = Child("stubborn", [sys.executable, "-c", stubborn])
    meanwhile(lambda: until(lambda: note.exists() and note.read_text()))
    assert Supervisor([child]).run() == 0
    until(lambda: not alive(int(note.read_text())))
    assert not alive(child.process.pid)
