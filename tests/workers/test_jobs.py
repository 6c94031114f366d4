"""The life of a job: every change is conditional, so that doubles and latecomers change nothing."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from workers import datasets, events, jobs
from workers.errors import BadInput, Busy, NotFound
from workers.models import Job

pytestmark = pytest.mark.django_db(transaction=True)

PARAMETERS = {"library": "mine", "upload": "0" * 32, "name": "Mine"}


@pytest.fixture(autouse=True)
def bells(monkeypatch):
    """Bells that only count."""
    rung: list[str] = []

    def ring(job):
        Job.objects.filter(pk=job.pk).update(rung=timezone.now())
        rung.append(str(job.pk))

    monkeypatch.setattr(jobs, "ring", ring)
    return rung


def silence(job: Job) -> None:
    """Let the lease of whoever holds the job run out."""
    Job.objects.filter(pk=job.pk).update(lease_until=timezone.now() - timedelta(seconds=1))


def state(job: Job) -> str:
    """As the row has it."""
    return Job.objects.values_list("state", flat=True).get(pk=job.pk)


def test_submitting_rings_once_and_only_after_the_transaction(bells):
    with transaction.atomic():
        job = jobs.submit("library", PARAMETERS)
        assert bells == []
    assert bells == [str(job.pk)]
    assert state(job) == "queued"


def test_a_rolled_back_submission_leaves_nothing(bells):
    with transaction.atomic():
        jobs.submit("library", PARAMETERS)
        transaction.set_rollback(True)
    assert bells == []
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("kind", "parameters", "words"),
    [
        ("nonsense", {}, "no kind of job"),
        ("library", {"library": "x"}, "needs name, upload"),
        ("library", {**PARAMETERS, "name": 3}, "'name' is not text"),
        ("monge", {"data": {}}, "No data was given"),
        ("monge", {"data": {"source": "../secret_key"}}, "no data set"),
        ("monge", {"data": {"source": datasets.SHIPPED}, "preset": "tpu"}, "no preset 'tpu'"),
        ("monge", {"data": {"source": datasets.SHIPPED}, "overrides": {"stps": 3}}, "Did you mean 'steps'"),
        ("monge", {"data": {"source": datasets.SHIPPED}, "overrides": {"steps": 0}}, "at least 1"),
        ("library", {**PARAMETERS, "shell": "rm"}, "does not know shell"),
    ],
)
def test_bad_submissions_are_refused_in_words(kind, parameters, words):
    with pytest.raises(BadInput, match=words):
        jobs.submit(kind, parameters)


def test_only_one_of_two_workers_gets_a_job():
    job = jobs.submit("library", PARAMETERS)
    assert jobs.claim(job.pk, "one") is not None
    assert jobs.claim(job.pk, "two") is None


def test_a_silent_worker_loses_the_job_and_can_write_nothing_any_more():
    job = jobs.submit("library", PARAMETERS)
    first = jobs.claim(job.pk, "one")
    silence(job)
    second = jobs.claim(job.pk, "two")
    assert second.token == first.token + 1
    with pytest.raises(jobs.LeaseLost):
        jobs.beat(first)
    with pytest.raises(jobs.LeaseLost):
        jobs.note(first, {"done": 9, "total": 9}, "")
    assert jobs.finish(first, "done", result={"wrong": True}) is False
    assert state(job) == "running"
    assert jobs.finish(second, "done", result={"right": True}) is True
    job.refresh_from_db()
    assert job.result == {"right": True}


def test_a_beat_prolongs_the_lease_and_tells_of_a_stop(settings):
    job = jobs.submit("library", PARAMETERS)
    held = jobs.claim(job.pk, "one")
    before = Job.objects.get(pk=job.pk).lease_until
    assert jobs.beat(held) == "running"
    assert Job.objects.get(pk=job.pk).lease_until > before
    jobs.stop(job)
    assert jobs.beat(held) == "stopping"


def test_stopping_what_waits_is_at_once_and_what_has_ended_stays():
    job = jobs.submit("library", PARAMETERS)
    assert jobs.stop(job).state == "stopped"
    assert jobs.claim(job.pk, "late bell") is None
    done = jobs.submit("library", PARAMETERS)
    jobs.finish(jobs.claim(done.pk, "one"), "done")
    assert jobs.stop(done).state == "done"


def test_the_sweeper_gives_silent_jobs_back_and_rings(bells):
    job = jobs.submit("library", PARAMETERS)
    jobs.claim(job.pk, "one")
    Job.objects.filter(pk=job.pk).update(created=timezone.now() - timedelta(minutes=5))
    assert jobs.sweep() == 0, "a job with a lease is left alone"
    silence(job)
    assert jobs.sweep() == 1
    assert state(job) == "queued"
    assert len(bells) == 2
    assert jobs.sweep() == 0, "the bell has just been rung"


def test_the_sweeper_rings_for_bells_that_went_unheard(bells, settings):
    job = jobs.submit("library", PARAMETERS)
    long_ago = timezone.now() - timedelta(seconds=settings.FERRY_LEASE + 5)
    Job.objects.filter(pk=job.pk).update(rung=long_ago, created=long_ago)
    assert jobs.sweep() == 1
    assert bells == [str(job.pk)] * 2


def test_the_sweeper_gives_up_after_so_many_attempts_and_says_so():
    job = jobs.submit("library", PARAMETERS)
    jobs.claim(job.pk, "one")
    Job.objects.filter(pk=job.pk).update(attempts=jobs.MOST_ATTEMPTS)
    silence(job)
    jobs.sweep()
    job.refresh_from_db()
    assert job.state == "lost"
    assert "memory" in job.error


def test_a_silent_job_that_was_to_stop_is_stopped():
    job = jobs.submit("library", PARAMETERS)
    jobs.claim(job.pk, "one")
    jobs.stop(job)
    silence(job)
    jobs.sweep()
    assert state(job) == "stopped"


def test_resume_takes_up_what_ended_badly_and_nothing_else(bells):
    job = jobs.submit("library", PARAMETERS)
    assert jobs.resume(job).state == "queued"
    assert len(bells) == 1, "it was waiting already"
    jobs.finish(jobs.claim(job.pk, "one"), "failed", error="no")
    assert jobs.resume(job).state == "queued"
    assert len(bells) == 2
    assert Job.objects.get(pk=job.pk).error == ""


def test_one_account_may_have_so_many_open_jobs(settings, member):
    settings.FERRY_JOBS_PER_USER = 2
    for _ in range(2):
        jobs.submit("library", PARAMETERS, owner=member)
    with pytest.raises(Busy, match="2 jobs"):
        jobs.submit("library", PARAMETERS, owner=member)


def test_jobs_of_others_are_not_found(member, other_member, administrator):
    job = jobs.submit("library", PARAMETERS, owner=member)
    assert jobs.get(str(job.pk), member) == job
    assert jobs.get(str(job.pk), administrator) == job
    for who, which in ((other_member, str(job.pk)), (member, "nonsense")):
        with pytest.raises(NotFound):
            jobs.get(which, who)


def test_the_stream_tells_the_whole_story():
    job = jobs.submit("library", PARAMETERS)
    held = jobs.claim(job.pk, "one")
    jobs.note(held, {"done": 1, "total": 2}, "a line")
    jobs.finish(held, "done")
    told = [event.data for event in events.subscribe(job.stream)]
    assert [entry["state"] for entry in told] == ["running", "running", "done"]
    assert told[1]["done"] == 1


def test_the_same_key_makes_one_job_and_another_content_is_refused(member, other_member):
    first = jobs.submit("library", PARAMETERS, owner=member, key="k1")
    assert jobs.submit("library", PARAMETERS, owner=member, key="k1") == first
    assert jobs.submit("library", PARAMETERS, owner=other_member, key="k1") != first
    assert jobs.submit("library", PARAMETERS, owner=member) != jobs.submit(
        "library", PARAMETERS, owner=member
    )
    with pytest.raises(BadInput, match="another job"):
        jobs.submit("library", {**PARAMETERS, "name": "Other"}, owner=member, key="k1")


def test_a_clone_is_a_new_job_that_names_its_parent(member):
    first = jobs.submit("library", PARAMETERS, owner=member)
    second = jobs.clone(first, {"name": "Other"}, member)
    assert second.parent == first
    assert second.parameters == {**PARAMETERS, "name": "Other"}


def test_a_job_that_was_put_back_is_not_taken_before_its_time(bells):
    job = jobs.submit("library", PARAMETERS)
    assert jobs.put_back(jobs.claim(job.pk, "one"), "away", wait=60) is True
    assert jobs.claim(job.pk, "two") is None
    assert jobs.sweep() == 0
    Job.objects.filter(pk=job.pk).update(
        not_before=timezone.now() - timedelta(seconds=1), created=timezone.now() - timedelta(minutes=1)
    )
    assert jobs.sweep() == 1
    assert jobs.claim(job.pk, "two") is not None


def test_a_stop_is_not_lost_with_the_worker_and_names_who_asked():
    job = jobs.submit("library", PARAMETERS)
    jobs.claim(job.pk, "one")
    jobs.stop(job, by="anna")
    silence(job)
    assert jobs.claim(job.pk, "two") is None
    jobs.sweep()
    job.refresh_from_db()
    assert (job.state, job.ended_by) == ("stopped", "anna")


def test_the_lease_of_a_dead_process_of_this_machine_ends_at_once():
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    host = socket.gethostname()
    dead, alive, elsewhere = (jobs.submit("library", PARAMETERS) for _ in range(3))
    jobs.claim(dead.pk, f"{host}:{ended.pid}")
    jobs.claim(alive.pk, f"{host}:{os.getpid()}")
    jobs.claim(elsewhere.pk, f"another-host:{ended.pid}")
    assert jobs.release_dead() == 1
    jobs.sweep()
    assert [state(job) for job in (dead, alive, elsewhere)] == ["queued", "running", "running"]


def test_streams_that_are_away_lose_no_job(monkeypatch):
    def away(*args):
        raise ConnectionError("no Redis")

    job = jobs.submit("library", PARAMETERS)
    monkeypatch.setattr(events, "publish", away)
    held = jobs.claim(job.pk, "one")
    jobs.note(held, {"done": 1}, "")
    assert jobs.finish(held, "done") is True


LEGAL = {(before, after) for before, allowed in Job.TRANSITIONS.items() for after in allowed}


@pytest.mark.parametrize("before", Job.State.values)
@pytest.mark.parametrize("after", Job.State.values)
def test_the_database_knows_which_changes_are_legal(before, after):
    now = timezone.now()
    job = Job.objects.create(
        kind="library", queue="indexing", state=before, lease_until=now, finished=now, parameters=PARAMETERS
    )
    if before == after or (before, after) in LEGAL:
        Job.objects.filter(pk=job.pk).update(state=after)
        assert state(job) == after
    else:
        with pytest.raises(IntegrityError, match="illegal"), transaction.atomic():
            Job.objects.filter(pk=job.pk).update(state=after)


def test_the_database_refuses_a_held_job_without_a_lease():
    job = jobs.submit("library", PARAMETERS)
    with pytest.raises(IntegrityError), transaction.atomic():
        Job.objects.filter(pk=job.pk).update(state="running")
