"""Doing a job: progress, stopping, faults in words, and what happens when the lease is lost half-way."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone

from workers import board, history, jobs, kinds, work
from workers.errors import BadInput
from workers.models import Job

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def kind(monkeypatch):
    """Registers a function as the work of a kind called 'test' and submits one job of it."""

    def register(function, hours=1.0):
        made = kinds.Kind("test", "indexing", kinds.LibraryParameters, "unused:unused", hours=hours)
        monkeypatch.setattr(kinds.Kind, "load", lambda self: function)
        monkeypatch.setitem(kinds.KINDS, "test", made)
        monkeypatch.setattr(jobs, "ring", lambda job: None)
        return jobs.submit("test", {"library": "l", "upload": "u", "name": "n"})

    return register


def test_a_job_that_ends_well(kind):

    def count(parameters, job, progress):
        assert parameters.name == "n"
        for step in range(3):
            progress.update(step + 1, 3, loss=0.5)
            progress.log(f"step {step}")
        return {"answer": 42}

    job = kind(count)
    assert work.perform(str(job.pk)) == "done"
    job.refresh_from_db()
    assert job.result == {"answer": 42}
    assert (job.progress["done"], job.progress["total"]) == (3, 3)
    assert job.progress["metrics"] == {"loss": 0.5}
    assert job.progress["resources"]["memory_mb"] > 0
    assert [(point["step"], point["values"]) for point in history.points(job.pk)] == [
        (step, {"loss": 0.5}) for step in (1, 2, 3)
    ]
    assert job.log_tail.endswith("step 2")
    assert job.lease_until is None
    assert work.perform(str(job.pk)) is None, "a second bell does nothing"


def test_faults_of_input_are_told_and_our_own_are_not_spelled_out(kind):
    def refuse(parameters, job, progress):
        raise BadInput("Line 3 has no structure.", "file", "Add one.")

    def crash(parameters, job, progress):
        raise ZeroDivisionError("secret detail")

    refused, crashed = kind(refuse), None
    assert work.perform(str(refused.pk)) == "failed"
    refused.refresh_from_db()
    assert refused.error == "Line 3 has no structure. Add one."
    told = {"message": "Line 3 has no structure.", "field": "file", "remedy": "Add one."}
    assert board.brief(refused)["problem"] == told
    jobs.resume(refused)
    assert board.brief(refused)["problem"] is None, "what was wrong may be mended by now"
    crashed = kind(crash)
    assert work.perform(str(crashed.pk)) == "failed"
    crashed.refresh_from_db()
    assert "ZeroDivisionError" in crashed.error
    assert "secret" not in crashed.error


def test_a_stop_reaches_the_work_and_is_recorded(kind):
    started = threading.Event()

    def wait(parameters, job, progress):
        started.set()
        until = time.monotonic() + 10
        while not progress.stopping and time.monotonic() < until:
            time.sleep(0.02)
        return {"stopped": True}

    job = kind(wait)
    asker = threading.Thread(target=lambda: (started.wait(5), jobs.stop(Job.objects.get(pk=job.pk))))
    asker.start()
    assert work.perform(str(job.pk)) == "stopped"
    asker.join()


def test_who_loses_the_lease_lets_go_without_a_word(kind):
    def lose(parameters, job, progress):
        Job.objects.filter(pk=job.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
        assert jobs.claim(job.pk, "the other one") is not None
        progress.flush()
        raise AssertionError("the flush must not succeed")

    job = kind(lose)
    assert work.perform(str(job.pk)) is None
    job.refresh_from_db()
    assert (job.state, job.worker) == ("running", "the other one")


def test_long_work_keeps_its_lease(kind, settings):
    settings.FERRY_LEASE, settings.FERRY_HEARTBEAT = 0.6, 0.1

    def sleep(parameters, job, progress):
        time.sleep(1.2)
        assert jobs.claim(job.pk, "thief") is None
        return {}

    job = kind(sleep)
    assert work.perform(str(job.pk)) == "done"


def test_a_measurement_is_written_although_the_work_says_nothing_more(kind):
    seen = []

    def measure_and_compute(parameters, job, progress):
        progress.update(1, 2, loss=0.25)
        until = time.monotonic() + 5
        while not seen and time.monotonic() < until:
            time.sleep(0.05)
            seen.extend(history.points(job.pk))
        return {}

    assert work.perform(str(kind(measure_and_compute).pk)) == "done"
    assert seen[0]["values"] == {"loss": 0.25}


def test_the_watchdog_stops_what_takes_too_long_and_says_that_it_did(kind, settings):
    settings.FERRY_HEARTBEAT = 0.1

    def for_ever(parameters, job, progress):
        until = time.monotonic() + 10
        while not progress.stopping and time.monotonic() < until:
            time.sleep(0.02)
        return {"stopped": True}

    job = kind(for_ever, hours=0.3 / 3600)
    assert work.perform(str(job.pk)) == "stopped"
    job.refresh_from_db()
    assert job.ended_by == "the watchdog: the time limit"
    assert "time limit" in job.log_tail


def test_a_fault_that_passes_is_tried_again_later_and_not_for_ever(kind):
    def away(parameters, job, progress):
        raise ConnectionError("no route")

    job = kind(away)
    for attempt in range(1, jobs.MOST_ATTEMPTS):
        assert work.perform(str(job.pk)) == "queued"
        job.refresh_from_db()
        assert job.not_before > timezone.now()
        assert work.perform(str(job.pk)) is None, "not yet"
        assert job.attempts == attempt
        Job.objects.filter(pk=job.pk).update(not_before=None)
    assert work.perform(str(job.pk)) == "failed"


@pytest.mark.parametrize(
    ("fault", "words"),
    [(OSError(28, "No space left on device"), "disk is full"), (MemoryError(), "not enough memory")],
)
def test_want_of_space_or_memory_is_told_as_such(kind, fault, words):
    def fail(parameters, job, progress):
        raise fault

    job = kind(fail)
    assert work.perform(str(job.pk)) == "failed"
    assert words in Job.objects.get(pk=job.pk).error


def test_the_end_of_a_job_waits_for_a_database_that_is_away(kind, monkeypatch):
    job = kind(lambda parameters, job, progress: {"answer": 1})
    real, calls = jobs.finish, []

    def finish(*args, **options):
        calls.append(args)
        if len(calls) < 3:
            raise OperationalError("the server closed the connection")
        return real(*args, **options)

    monkeypatch.setattr(jobs, "finish", finish)
    assert work.perform(str(job.pk)) == "done"
    assert len(calls) == 3


def test_work_that_comes_further_each_time_is_not_given_up(kind):
    reached = []

    def crash_later(parameters, job, progress):
        step = len(reached) + 1
        reached.append(step)
        progress.update(step, 20)
        progress.flush()
        raise ConnectionError("again")

    job = kind(crash_later)
    for _ in range(2 * jobs.MOST_ATTEMPTS):
        assert work.perform(str(job.pk)) == "queued"
        Job.objects.filter(pk=job.pk).update(not_before=None)


def test_a_loss_that_is_no_number_is_told_and_stops_no_report(kind):
    def diverge(parameters, job, progress):
        progress.update(1, 2, loss=float("nan"), rate=0.1)
        progress.update(2, 2, loss=float("inf"), rate=0.1)
        return {}

    job = kind(diverge)
    assert work.perform(str(job.pk)) == "done"
    job.refresh_from_db()
    assert job.progress["metrics"] == {"rate": 0.1}
    assert job.log_tail.count("loss is not a finite number") == 1
