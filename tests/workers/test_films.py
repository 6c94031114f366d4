"""A training that another process runs: its events and its faults come through, and it ends when nobody watches."""

from __future__ import annotations

import threading
import time

import pytest

from workers import films, inference, remote, transport
from workers.models import Event

pytestmark = pytest.mark.django_db(transaction=True)
MOONS, RING = ({"sample": name, "n": 50, "seed": 1} for name in ("moons", "ring"))
PROBLEM = {"source": MOONS, "target": RING, "parameters": {"seconds": 1}}


@pytest.fixture
def worker(monkeypatch, settings):
    """The thread that would ask a worker is the worker."""
    settings.FERRY_INFERENCE = "queue"
    ended = threading.Event()

    def ask(verb, arguments, wait):
        assert verb == "transport_watch"
        try:
            transport.do_transport_watch(**arguments)
        finally:
            ended.set()

    monkeypatch.setattr(remote, "ask", ask)
    return ended


def test_every_event_comes_through_in_order(worker):
    opening, *frames = inference.transport_watch(PROBLEM)
    assert opening["problem"]["source"]["n"] == 1000
    assert [frame["last"] for frame in frames] == [False] * (len(frames) - 1) + [True]
    assert [frame["step"] for frame in frames] == sorted(frame["step"] for frame in frames)


def test_faults_come_through(worker):
    with pytest.raises(inference.BadInput, match="no sampled cloud"):
        next(inference.transport_watch({**PROBLEM, "source": {"sample": "cheese"}}))


def test_a_watcher_who_leaves_ends_the_training(worker):
    given = {"problem": {**PROBLEM, "parameters": {"seconds": 20}}}
    frames = films.over_the_queue("transport_watch", given, lambda: False)
    next(frames)
    frames.close()
    assert worker.wait(10)
    until = time.monotonic() + 5
    while Event.objects.filter(stream__startswith="film:").exists():
        assert time.monotonic() < until, "the streams are left behind"
        time.sleep(0.05)


def test_nothing_is_left_behind(worker):
    list(inference.transport_watch(PROBLEM))
    assert not Event.objects.filter(stream__startswith="film:").exists()
