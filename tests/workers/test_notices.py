"""Notices: signed so that they can be trusted, tried again where that helps, and never in the way of the work."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from celery.exceptions import Retry
from django.core import mail
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from workers import jobs, notices
from workers.models import Job
from workers.tasks import notices as tasks

pytestmark = pytest.mark.django_db(transaction=True)


class Receiver:
    """A server that keeps what it is sent and answers with ``status``."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status = 200
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append((dict(self.headers), body))
                self.send_response(outer.status)
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def receiver(settings):
    """A receiver that is configured."""
    found = Receiver()
    settings.FERRY_WEBHOOK, settings.FERRY_WEBHOOK_SECRET = found.address, "a secret that both know"
    settings.FERRY_URL = "https://ferry.example.org"
    yield found
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture
def bells(monkeypatch):
    """What would be handed to a worker."""
    rung: list[tuple] = []
    monkeypatch.setattr(tasks.tell, "apply_async", lambda args, **options: rung.append((*args, options)))
    return rung


@pytest.fixture
def job(trainer) -> Job:
    """A training that has run for a while."""
    now = timezone.now()
    return Job.objects.create(
        kind="monge", queue="training", owner=trainer, name="Two moons", state="running", token=4,
        started=now - timedelta(minutes=4, seconds=5), lease_until=now + timedelta(minutes=1),
        progress={"done": 10, "metrics": {"loss": 0.25}},
    )  # fmt: skip


def finish(job: Job, state: str = "done", error: str = "") -> None:
    """End it, as its worker would."""
    assert jobs.finish(jobs.Claim(job.pk, job.token), state, error=error)


@pytest.mark.parametrize("state", ["done", "failed", "stopped"])
def test_every_end_of_a_training_is_handed_to_a_worker(receiver, bells, job, state):
    finish(job, state)
    assert [(pk, told, channel) for pk, told, channel, _ in bells] == [(str(job.pk), state, "webhook")]
    assert bells[0][3] == {"queue": "indexing", "retry": False}


def test_a_lost_job_is_told_too(receiver, bells, job):
    Job.objects.filter(pk=job.pk).update(attempts=jobs.MOST_ATTEMPTS, lease_until=timezone.now())
    jobs.sweep()
    assert bells[0][:2] == (str(job.pk), "lost")


def test_imports_and_an_unconfigured_house_tell_nobody(receiver, bells, job, settings):
    Job.objects.filter(pk=job.pk).update(kind="check")
    finish(job)
    assert bells == []
    settings.FERRY_WEBHOOK = ""
    notices.job_ended(str(job.pk), "done")
    assert bells == []


def test_a_broker_that_is_away_does_not_spoil_the_end_of_a_job(receiver, job, monkeypatch):
    def refuse(**_: object) -> None:
        raise ConnectionError("no broker")

    monkeypatch.setattr(tasks.tell, "apply_async", refuse)
    finish(job)
    job.refresh_from_db()
    assert job.state == "done"


def test_the_body_says_what_happened_and_its_signature_can_be_checked(receiver, bells, job):
    finish(job, "failed", "The disk is full.\nMore that nobody needs.")
    tasks.tell.run(str(job.pk), "failed", "webhook")
    headers, body = receiver.got[0]
    told = json.loads(body)
    assert told["event"] == headers["X-Ferry-Event"] == "job.failed"
    assert told["text"] == "Monge map “Two moons” has failed after 4 min 5 s: The disk is full."
    assert told["link"] == f"https://ferry.example.org/jobs/{job.pk}/"
    assert told["job"]["metrics"] == {"loss": 0.25}
    assert told["job"]["owner"] == "theo"
    assert told["job"]["seconds"] == pytest.approx(245, abs=2)
    expected = hmac.new(b"a secret that both know", body, hashlib.sha256).hexdigest()
    assert headers["X-Ferry-Signature"] == f"sha256={expected}"


def test_the_signature_is_the_known_one():
    """Test case 2 of RFC 4231."""
    known = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert notices.signature(b"what do ya want for nothing?", "Jefe") == known


def test_without_a_secret_nothing_is_signed(receiver, job, settings):
    settings.FERRY_WEBHOOK_SECRET = ""
    notices.send("webhook", notices.notice(job, "done"))
    assert "X-Ferry-Signature" not in receiver.got[0][0]


@pytest.mark.parametrize(
    ("status", "again"), [(500, True), (503, True), (429, True), (404, False), (302, False)]
)
def test_what_may_help_is_tried_again_and_nothing_else(receiver, job, status, again):
    receiver.status = status
    with pytest.raises(notices.Undelivered, match=str(status)) as fault:
        notices.send("webhook", notices.notice(job, "done"))
    assert fault.value.again is again
    assert len(receiver.got) == 1, "no redirect is followed"


def test_tries_come_later_each_time_end_and_carry_the_same_delivery(receiver, job, monkeypatch):
    receiver.status = 500
    waits: list[float] = []

    def later(*, countdown: float, exc: Exception) -> Retry:
        waits.append(countdown)
        return Retry()

    monkeypatch.setattr(tasks.tell, "retry", later)
    for tried in range(notices.MOST_TRIES):
        tasks.tell.push_request(retries=tried)
        try:
            tasks.tell.run(str(job.pk), "done", "webhook")
        except Retry:
            assert tried < notices.MOST_TRIES - 1
        finally:
            tasks.tell.pop_request()
    assert waits == sorted(waits)
    assert waits[:3] == [10, 20, 40]
    assert len(waits) == notices.MOST_TRIES - 1
    assert max(waits) <= notices.LONGEST_WAIT
    assert len({headers["X-Ferry-Delivery"] for headers, _ in receiver.got}) == 1


def test_a_receiver_that_is_away_is_told_in_words(settings, job):
    settings.FERRY_WEBHOOK = "http://127.0.0.1:1/"
    with pytest.raises(notices.Undelivered, match="cannot be reached") as fault:
        notices.send("webhook", notices.notice(job, "done"))
    assert fault.value.again


def test_a_deleted_job_is_told_to_nobody(receiver):
    tasks.tell.run("00000000-0000-0000-0000-000000000000", "done", "webhook")
    assert receiver.got == []


def test_mail_has_figures_and_link(settings, job):
    settings.FERRY_NOTIFY = ["lab@example.org"]
    assert notices.channels() == ["mail"]
    Job.objects.filter(pk=job.pk).update(name="Two\nmoons")
    job.refresh_from_db()
    notices.send("mail", notices.notice(job, "done"))
    sent = mail.outbox[0]
    assert sent.to == ["lab@example.org"]
    assert sent.subject.startswith("Ferry: Monge map “Two moons” is done")
    assert "loss: 0.25" in sent.body
    assert f"/jobs/{job.pk}/" in sent.body


def test_the_command_tries_every_channel(receiver, settings, capsys):
    settings.FERRY_NOTIFY = ["lab@example.org"]
    call_command("notify_test")
    assert json.loads(receiver.got[0][1])["event"] == "test"
    assert len(mail.outbox) == 1
    receiver.status = 404
    with pytest.raises(CommandError):
        call_command("notify_test")
    assert "answered 404" in capsys.readouterr().out
    settings.FERRY_NOTIFY, settings.FERRY_WEBHOOK = [], ""
    with pytest.raises(CommandError, match="FERRY_WEBHOOK"):
        call_command("notify_test")


@pytest.mark.parametrize(("seconds", "words"), [(3.4, "3 s"), (65, "1 min 5 s"), (11_520, "3 h 12 min")])
def test_durations(seconds, words):
    assert notices.duration(seconds) == words
