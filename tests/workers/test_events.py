"""Streams: numbered without gaps, readable from any point, the same over a table and over Redis."""

from __future__ import annotations

import os
import threading
import time
import uuid

import pytest

from workers import events

BACKENDS = [pytest.param("table"), pytest.param("redis", marks=pytest.mark.service("redis"))]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=BACKENDS)
def streams(request):
    """Each backend in turn."""
    if request.param == "table":
        return events.TableStreams()
    return events.RedisStreams(os.environ["FERRY_TEST_REDIS_URL"])


@pytest.fixture
def name(streams):
    """A stream of this test's own."""
    stream = f"test/{uuid.uuid4().hex}"
    yield stream
    streams.forget(stream)


def test_numbers_count_up_and_reading_goes_on_from_any(streams, name):
    assert [streams.publish(name, {"n": n}) for n in range(3)] == [1, 2, 3]
    assert [event.data["n"] for event in streams.subscribe(name, 0, 0)] == [0, 1, 2]
    assert [event.seq for event in streams.subscribe(name, 2, 0)] == [3]
    assert streams.subscribe(name, 3, 0) == []


def test_streams_do_not_mix(streams, name):
    streams.publish(name, {"here": True})
    other = f"{name}/other"
    assert streams.publish(other, {"there": True}) == 1
    assert len(streams.subscribe(name, 0, 0)) == 1
    streams.forget(other)


def test_who_waits_is_woken(streams, name):
    def later():
        from django.db import connection

        time.sleep(0.2)
        streams.publish(name, {"late": "ünïcode ✓"})
        connection.close()

    thread = threading.Thread(target=later)
    thread.start()
    found = streams.subscribe(name, 0, 5)
    thread.join()
    assert found[0].data == {"late": "ünïcode ✓"}


def test_waiting_ends(streams, name):
    started = time.monotonic()
    assert streams.subscribe(name, 0, 0.3) == []
    assert 0.2 < time.monotonic() - started < 3


def test_many_writers_leave_neither_gaps_nor_doubles(streams, name):
    def write():
        from django.db import connection

        for _ in range(10):
            streams.publish(name, {})
        connection.close()

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [event.seq for event in streams.subscribe(name, 0, 0)] == list(range(1, 41))


def test_a_table_keeps_the_latest(monkeypatch):
    monkeypatch.setattr(events, "KEPT", 50)
    streams = events.TableStreams()
    for n in range(200):
        streams.publish("long", {"n": n})
    kept = [event.seq for event in streams.subscribe("long", 0, 0)]
    assert kept == list(range(151, 201))
