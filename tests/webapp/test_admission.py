"""The gate in front of the application: whom it lets in, what the others read, what it tells the work behind it."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from webapp.admission import CALM, GUARDED, Admission, Gate
from workers import calls


class Clock:
    """A clock that stands still until told otherwise."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_as_many_as_the_queue_holds_come_in(clock):
    gate = Gate(5, cores=1, clock=clock)
    assert [gate.enter() for _ in range(5)] == [True] * 5
    assert not gate.overloaded


def test_one_too_many_means_overload_and_then_few_come_in_until_it_is_calm(clock):
    gate = Gate(20, cores=5, clock=clock)
    assert all(gate.enter() for _ in range(20))
    assert not gate.enter()
    assert gate.overloaded
    for _ in range(18):
        gate.leave()
    assert [gate.enter() for _ in range(3)] == [True, False, False], "three at once on five cores"
    for _ in range(3):
        gate.leave()
    clock.now += CALM / 2
    assert [gate.enter() for _ in range(4)] == [True, True, True, False]
    for _ in range(3):
        gate.leave()
    clock.now += CALM + 0.01
    assert all(gate.enter() for _ in range(20)), "nobody was refused for a while"


def test_a_small_queue_is_never_widened_by_overload(clock):
    gate = Gate(1, cores=8, clock=clock)
    assert [gate.enter(), gate.enter()] == [True, False]
    gate.leave()
    assert [gate.enter(), gate.enter()] == [True, False]


def test_retry_after_is_when_there_is_room_for_all_who_were_refused(clock):
    gate = Gate(10, cores=1, clock=clock)
    assert gate.retry_after() == 1
    for _ in range(50):  # ten a second over five seconds
        gate.enter()
        clock.now += 0.1
        gate.leave()
    for _ in range(10):
        gate.enter()
    for _ in range(90):
        gate.enter()
    assert gate.retry_after() == 10, "ten inside and ninety outside at ten a second"
    clock.now += 2
    assert gate.retry_after() < 10, "who was refused long ago has come back or given up"


@pytest.mark.parametrize(
    "path",
    ["/", "/api/v1/search/", "/api/v1/molecules/c/a/b/neighbours/", "/molecules/c/x/y/texts/", "/compare/"],
)
def test_what_needs_the_model_is_guarded(path):
    assert GUARDED.fullmatch(path)


@pytest.mark.parametrize(
    "path",
    [
        "/health/ready",
        "/metrics",
        "/static/x.css",
        "/admin/",
        "/accounts/log-in/",
        "/api/v1/jobs/1/",
        "/jobs/",
    ],
)
def test_the_rest_gets_through_however_many_search(path):
    assert not GUARDED.fullmatch(path)


def ask(application, path="/api/v1/search/", headers=(), messages=None):
    """One request through ``application``: status, headers and body."""
    sent = []
    given = iter(messages or [{"type": "http.request", "body": b""}])

    async def receive():
        return next(given)

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "path": path, "headers": list(headers)}
    asyncio.run(application(scope, receive, send))
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


async def fine(scope, receive, send):
    """An application that answers."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"fine"})


def test_the_refused_read_a_problem_under_the_api_and_a_page_elsewhere():
    gate = Gate(0, cores=1)
    status, headers, body = ask(Admission(fine, gate, 20.0))
    assert status == 503
    assert int(headers[b"retry-after"]) >= 1
    problem = json.loads(body)
    assert (problem["status"], problem["type"]) == (503, "urn:ferry:problem:busy")
    status, headers, body = ask(Admission(fine, gate, 20.0), path="/")
    assert status == 503
    assert b"<!doctype html" in body.lower()
    assert ask(Admission(fine, gate, 20.0), path="/health/live")[0] == 200


def test_whoever_is_answered_leaves_even_by_a_fault():
    async def broken(scope, receive, send):
        raise ZeroDivisionError

    gate = Gate(1, cores=1)
    with pytest.raises(ZeroDivisionError):
        ask(Admission(broken, gate, 20.0))
    assert gate.inside == 0
    assert ask(Admission(fine, gate, 20.0))[0] == 200


def test_a_503_from_within_gets_the_gates_estimate():
    async def busy(scope, receive, send):
        headers = [(b"Retry-After", b"5"), (b"x-other", b"1")]
        await send({"type": "http.response.start", "status": 503, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    _, headers, _ = ask(Admission(busy, Gate(3, cores=1), 20.0))
    assert headers == {b"retry-after": b"1", b"x-other": b"1"}


@pytest.mark.parametrize(
    ("given", "seconds"), [(b"3", 3.0), (b"900", 20.0), (b"soon", 20.0), (b"-1", 20.0), (b"nan", 20.0)]
)
def test_the_callers_deadline_counts_where_it_is_the_shorter(given, seconds):
    found = []

    async def noted(scope, receive, send):
        found.append(calls.current().left)
        await fine(scope, receive, send)

    ask(Admission(noted, Gate(1, cores=1), 20.0), headers=[(b"x-request-timeout", given)])
    assert found[0] == pytest.approx(seconds, abs=0.5)


def test_the_work_learns_that_the_client_has_gone():
    found = []

    async def reading(scope, receive, send):
        call = calls.current()
        await receive()
        found.append(call.gone)
        await receive()
        found.append(call.gone)
        await fine(scope, receive, send)

    messages = [{"type": "http.request", "body": b""}, {"type": "http.disconnect"}]
    ask(Admission(reading, Gate(1, cores=1), 20.0), messages=messages)
    assert found == [False, True]


def test_a_call_without_limits_has_all_the_time():
    assert calls.current().left == float("inf")
    with calls.answering(calls.Call(time.monotonic() - 1)) as call:
        assert call.left == 0.0
        assert calls.current() is call


def test_an_answer_names_the_model_that_gave_it():
    async def searching(scope, receive, send):
        calls.current().model = "5f" * 32
        await fine(scope, receive, send)

    _, headers, _ = ask(Admission(searching, Gate(1, cores=1), 20.0))
    assert headers[b"x-ferry-model"] == b"5f" * 32
    assert b"x-ferry-model" not in ask(Admission(fine, Gate(1, cores=1), 20.0))[1]
