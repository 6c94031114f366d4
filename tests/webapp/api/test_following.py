"""A job's curves and its news: as JSON, as CSV, as events."""

from __future__ import annotations

import csv
import io
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from tests.webapp.api import problem
from webapp.api import following
from workers import events, history
from workers.models import Job

JOBS = "/api/v1/jobs/"
#: a stream lets go of its connection between two looks, which no test inside a transaction survives
streams = pytest.mark.django_db(transaction=True)


def measured(job: Job, count: int) -> None:
    """Points whose loss is one over the step."""
    points = [history.Measured(n, n * 2.0, n / 10, {"loss": 1 / n}) for n in range(1, count + 1)]
    history.record(job.pk, 1, points)


def read(response: Any) -> list[dict[str, Any]]:
    """The events of a stream to its end."""
    out = []
    for block in b"".join(response.streaming_content).decode().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if lines:
            out.append({**lines, "data": json.loads(lines["data"])})
    return out


def test_curves_are_thinned_evenly_and_keep_both_ends(tina: APIClient, job: Callable[..., Job]) -> None:
    row = job("done")
    measured(row, 50)
    whole = tina.get(f"{JOBS}{row.pk}/metrics/").json()
    assert (whole["metrics"], whole["measured"], len(whole["points"])) == (["loss"], 50, 50)
    assert whole["points"][4] == {
        "attempt": 1,
        "step": 5,
        "seconds": 10.0,
        "epoch": 0.5,
        "values": {"loss": 0.2},
    }
    few = tina.get(f"{JOBS}{row.pk}/metrics/", {"most": 8}).json()
    assert (few["measured"], len(few["points"])) == (50, 8)
    assert (few["points"][0]["step"], few["points"][-1]["step"]) == (1, 50)
    problem.check(tina.get(f"{JOBS}{row.pk}/metrics/", {"most": 1}), 400, field="most")
    problem.check(tina.get(f"{JOBS}{row.pk}/metrics/", {"format": "xls"}), 400, field="format")


def test_the_csv_reads_back_as_the_same_numbers(tina: APIClient, job: Callable[..., Job]) -> None:
    row = job("done")
    measured(row, 7)
    response = tina.get(f"{JOBS}{row.pk}/metrics/", {"format": "csv"})
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert response.headers["Content-Disposition"] == f'attachment; filename="monge-{str(row.pk)[:8]}.csv"'
    rows = list(csv.DictReader(io.StringIO(response.content.decode())))
    assert [float(line["loss"]) for line in rows] == [1 / n for n in range(1, 8)]
    assert list(rows[0]) == ["step", "epoch", "seconds", "attempt", "loss"]


@streams
def test_a_stream_begins_with_the_job_replays_and_ends(tina: APIClient, job: Callable[..., Job]) -> None:
    row = job("done")
    for done in (10, 20, 30):
        events.publish(row.stream, {"state": "running", "done": done})
    response = tina.get(f"{JOBS}{row.pk}/events/")
    assert response.headers["Content-Type"] == "text/event-stream"
    assert response.headers["X-Accel-Buffering"] == "no"
    assert "no-store" in response.headers["Cache-Control"]
    said = read(response)
    assert [event["event"] for event in said] == ["job", "news", "news", "news", "end"]
    assert said[0]["data"]["id"] == str(row.pk)
    assert [(event["id"], event["data"]["done"]) for event in said[1:-1]] == [("1", 10), ("2", 20), ("3", 30)]
    again = read(tina.get(f"{JOBS}{row.pk}/events/", headers={"Last-Event-ID": "2"}))
    assert [event.get("id") for event in again] == [None, "3", None]
    assert [e.get("id") for e in read(tina.get(f"{JOBS}{row.pk}/events/?after=3"))] == [None, None]


@streams
def test_a_stream_tells_of_a_silent_worker_and_of_the_end(
    tina: APIClient, job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "LOOK_EVERY", 0.0)
    row = job("running")
    news = following.follow(str(row.pk), tina.user, 0)
    assert next(news).data["standing"] == "running"
    assert next(news) is None
    Job.objects.filter(pk=row.pk).update(lease_until="2000-01-01T00:00Z")
    assert next(news).data["standing"] == "lost contact"
    Job.objects.filter(pk=row.pk).delete()
    told = [event for event in news if event is not None]
    assert [(event.name, event.data["standing"]) for event in told] == [("end", "gone")]


@streams
def test_a_right_that_was_taken_away_ends_the_stream(
    anna: APIClient, job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "LOOK_EVERY", 0.0)
    row = job("running", anna.user)
    news = following.follow(str(row.pk), anna.user, 0)
    assert next(news).name == "job"
    Job.objects.filter(pk=row.pk).update(owner=None)
    assert [event.name for event in news if event is not None] == ["end"]


def test_asking_again_and_again_misses_nothing(tina: APIClient, job: Callable[..., Job]) -> None:
    row = job("running")
    events.publish(row.stream, {"state": "running", "done": 1})
    first = tina.get(f"{JOBS}{row.pk}/events/", {"wait": 0}).json()
    assert [event["data"]["done"] for event in first["events"]] == [1]
    assert (first["after"], first["open"], first["job"]["standing"]) == (1, True, "running")
    nothing = tina.get(f"{JOBS}{row.pk}/events/", {"wait": 0, "after": 1}).json()
    assert (nothing["events"], nothing["after"]) == ([], 1)
    for asked, field in (({"wait": 26}, "wait"), ({"wait": "long"}, "wait"), ({"after": -1}, "after")):
        problem.check(tina.get(f"{JOBS}{row.pk}/events/", asked), 400, field=field)


def test_an_ended_job_answers_without_waiting(tina: APIClient, job: Callable[..., Job]) -> None:
    row = job("done")
    began = time.monotonic()
    assert tina.get(f"{JOBS}{row.pk}/events/", {"wait": 20}).json()["open"] is False
    assert time.monotonic() - began < 5


@streams
def test_a_wait_ends_with_the_news(tina: APIClient, job: Callable[..., Job]) -> None:
    row = job("running")

    def tell() -> None:
        events.publish(row.stream, {"state": "running", "done": 7})
        connection.close()

    timer = threading.Timer(0.5, tell)
    timer.start()
    began = time.monotonic()
    answer = tina.get(f"{JOBS}{row.pk}/events/", {"wait": 20}).json()
    timer.join()
    assert [event["data"]["done"] for event in answer["events"]] == [7]
    assert 0.3 < time.monotonic() - began < 15
