"""Doing a job: progress, stopping, faults in words, and what happens when the lease is lost half-way."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest
from django.utils import timezone

from workers import jobs, kinds, work
from workers.errors import BadInput
from workers.models import Job

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def kind(monkeypatch):
    """Registers a function as the work of a kind called 'test' and submits one job of it."""

    def register(function):
        made = kinds.Kind("test", "indexing", kinds.LibraryParameters, "unused:unused")
        monkeypatch.setattr(kinds.Kind, "load", lambda self: function)
        monkeypatch.setitem(kinds.KINDS, "test", made)
        monkeypatch.setattr(jobs, "ring", lambda job: None)
        return jobs.submit("test", {"library": "l", "upload": "u", "name": "n"})

    return register


def test_a_job_that_ends_well(kind, monkeypatch):
    monkeypatch.setattr(work, "NOTE_EVERY", 0.0)

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
    assert job.progress == {"done": 3, "total": 3, "metrics": {"loss": 0.5}}
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
    assert jobs.describe(refused)["problem"] == told
    jobs.retry(refused)
    assert jobs.describe(refused)["problem"] is None, "what was wrong may be mended by now"
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
