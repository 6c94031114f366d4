"""Telling the outside world that a job has ended: a signed web request, mail, or both.

What is sent to ``FERRY_WEBHOOK`` is JSON (see :func:`notice`); with ``FERRY_WEBHOOK_SECRET`` it carries
``X-Ferry-Signature: sha256=`` and the HMAC (RFC 2104) of the body in hexadecimal. ``X-Ferry-Delivery`` is the same for
every attempt at one notice, so that the receiver can drop doubles.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from collections.abc import Mapping
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction

from workers.models import Job

log = logging.getLogger(__name__)

WEBHOOK, MAIL = "webhook", "mail"
SECONDS = 10.0  # that a receiver may take to answer
MOST_TRIES = 7
LONGEST_WAIT = 600.0
WORDS = {
    Job.State.DONE: "is done",
    Job.State.FAILED: "has failed",
    Job.State.STOPPED: "was stopped",
    Job.State.LOST: "was lost",
}


class Undelivered(Exception):
    """A notice was not taken. ``again`` says whether another try may help."""

    def __init__(self, message: str, *, again: bool) -> None:
        super().__init__(message)
        self.again = again


def channels() -> list[str]:
    """What is configured: webhook, mail, both or nothing."""
    return [WEBHOOK] * bool(settings.FERRY_WEBHOOK) + [MAIL] * bool(settings.FERRY_NOTIFY)


def job_ended(pk: str, state: str) -> None:
    """Have a worker tell that a job has ended. Never raises and never waits for a receiver: the job goes first."""
    wanted = channels()
    if wanted:
        transaction.on_commit(lambda: _hand_over(pk, state, wanted), robust=True)


def _hand_over(pk: str, state: str, wanted: list[str]) -> None:
    from workers import kinds
    from workers.tasks.notices import tell

    try:
        job = Job.objects.only("kind").get(pk=pk)
        kind = kinds.KINDS.get(job.kind)
        if kind is not None and kind.internal:
            return
        for channel in wanted:
            tell.apply_async(args=[pk, state, channel], queue="indexing", retry=False)
    except Exception as error:  # noqa: BLE001  a notice that cannot be sent must not spoil the work
        log.warning("nobody is told that job %s is %s: %s", pk, state, error)


def notice(job: Job, state: str) -> dict[str, Any]:
    """What is sent: event, delivery, text (one line), link, and the job with its seconds, metrics and error."""
    from workers import kinds

    kind = kinds.KINDS.get(job.kind)
    title = kind.title if kind is not None else job.kind
    seconds = (job.finished - job.started).total_seconds() if job.started and job.finished else None
    error = job.error.strip().splitlines()[0][:300] if job.error.strip() else ""
    named = f"{title} “{job.name}”" if job.name else f"{title} {str(job.pk)[:8]}"
    took = f" after {duration(seconds)}" if seconds is not None else ""
    why = f": {error}" if error else ""
    return {
        "event": f"job.{state}",
        "delivery": f"{job.pk}-{job.token}-{state}",
        "text": f"{named} {WORDS.get(Job.State(state), state)}{took}{why}",
        "link": link(f"/jobs/{job.pk}/"),
        "job": {
            "id": str(job.pk),
            "kind": job.kind,
            "title": title,
            "name": job.name,
            "state": state,
            "owner": job.owner.get_username() if job.owner is not None else None,
            "finished": job.finished.isoformat() if job.finished else None,
            "seconds": seconds,
            "metrics": job.progress.get("metrics", {}),
            "error": error,
        },
    }


def link(path: str) -> str:
    """A whole address where ``FERRY_URL`` says which, otherwise the path alone."""
    base = settings.FERRY_URL.split(",")[0].strip().rstrip("/")
    return f"{base}{path}"


def duration(seconds: float) -> str:
    """``3 h 12 min``, ``4 min 5 s``, ``12 s``."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"


def send(channel: str, body: Mapping[str, Any]) -> None:
    """Send a notice now. Raises Undelivered."""
    if channel == WEBHOOK:
        _post(body)
    else:
        _mail(body)


def send_test(who: str) -> list[dict[str, Any]]:
    """Send a test over every channel that is configured: for each its name, whether it was taken, and why not."""
    body = {
        "event": "test",
        "delivery": "test",
        "text": f"This is a test of Ferry's notices, sent by {who}.",
        "link": link("/status/"),
        "job": None,
    }
    out = []
    for channel in channels():
        try:
            send(channel, body)
        except Undelivered as fault:
            out.append({"channel": channel, "sent": False, "message": str(fault)})
        else:
            out.append({"channel": channel, "sent": True, "message": "It was taken."})
    return out


def signature(body: bytes, secret: str) -> str:
    """``sha256=`` and the HMAC of ``body`` in hexadecimal."""
    return f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"


class _NoRedirects(HTTPRedirectHandler):
    """A receiver that points elsewhere is not followed: the operator named this address and no other."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _post(body: Mapping[str, Any]) -> None:
    sent = json.dumps(body, ensure_ascii=False).encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Ferry",
        "X-Ferry-Event": str(body["event"]),
        "X-Ferry-Delivery": str(body["delivery"]),
    }
    if settings.FERRY_WEBHOOK_SECRET:
        headers["X-Ferry-Signature"] = signature(sent, settings.FERRY_WEBHOOK_SECRET)
    request = Request(settings.FERRY_WEBHOOK, sent, headers, method="POST")  # noqa: S310  http(s), see settings
    try:
        with build_opener(_NoRedirects).open(request, timeout=SECONDS):
            return
    except HTTPError as error:
        again = error.code >= 500 or error.code in (408, 425, 429)
        raise Undelivered(f"The receiver answered {error.code}.", again=again) from None
    except OSError as error:
        why = getattr(error, "reason", None) or error
        raise Undelivered(f"The receiver cannot be reached: {why}.", again=True) from None


def _mail(body: Mapping[str, Any]) -> None:
    job = body["job"] or {}
    figures = "\n".join(f"{name}: {value:.6g}" for name, value in job.get("metrics", {}).items())
    text = "\n\n".join(part for part in (body["text"], figures, body["link"]) if part)
    subject = f"Ferry: {' '.join(str(body['text']).split())}"[:160]
    headers = {"X-Ferry-Delivery": str(body["delivery"])}
    try:
        EmailMessage(subject, text, to=settings.FERRY_NOTIFY, headers=headers).send()
    except Exception as error:  # whatever the mail library raises
        raise Undelivered(f"The mail was not taken: {error}.", again=True) from error
