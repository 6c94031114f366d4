"""The sweeper's thread: it goes on after a fault, and leaves signs of life."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from workers import jobs, sweeper

pytestmark = pytest.mark.django_db(transaction=True)


def test_it_sweeps_at_once_goes_on_after_a_fault_and_stops(monkeypatch, house, settings):
    settings.FERRY_SWEEP = 0.02
    rounds: list[float] = []
    enough = threading.Event()

    def sweep():
        rounds.append(time.monotonic())
        if len(rounds) == 3:
            enough.set()
        if len(rounds) == 1:
            raise OSError("the database is away")
        return 0

    monkeypatch.setattr(jobs, "sweep", sweep)
    thread = sweeper.start()
    assert enough.wait(5)
    sweeper.stop()
    thread.join(5)
    assert not thread.is_alive()
    assert (settings.FERRY_DATA / "workers" / socket.gethostname()).exists()
