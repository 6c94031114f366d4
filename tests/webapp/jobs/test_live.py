"""The live stream of a job: news as they are published, its end, and going on after a broken connection."""

from __future__ import annotations

import asyncio
import itertools
import json

import pytest
from django.test import AsyncClient, AsyncRequestFactory, RequestFactory
from django.utils import timezone

from webapp import streaming
from webapp.jobs import live
from webapp.streaming import Event, last_seen, stream
from workers import events
from workers.models import Job

pytestmark = pytest.mark.django_db(transaction=True)  # a look closes connections, as at the end of a request


def read(lines: bytes) -> list[tuple[str, int | None, dict]]:
    """Name, number and data of server-sent events."""
    out = []
    for block in lines.decode().strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if fields:
            number = int(fields["id"]) if "id" in fields else None
            out.append((fields["event"], number, json.loads(fields["data"])))
    return out


def end(job: Job, state: str = "done") -> None:
    """Let a job end, and say so."""
    Job.objects.filter(pk=job.pk).update(state=state, finished=timezone.now(), lease_until=None)
    events.publish(job.stream, {"state": state})


def test_news_come_numbered_and_the_stream_ends_with_the_job(at_work, make):
    job = make("running")
    events.publish(job.stream, {"state": "running"})
    response = at_work.get(f"/jobs/{job.pk}/events/")
    assert response["Content-Type"] == "text/event-stream"
    assert response["X-Accel-Buffering"] == "no"
    content = iter(response.streaming_content)
    ((name, number, first),) = read(next(content))
    assert (name, number, first["standing"], first["open"]) == ("state", 1, "running", True)
    assert "30 of 120" in first["parts"]["standing"]
    Job.objects.filter(pk=job.pk).update(progress={"done": 31, "total": 120, "metrics": {"loss": 0.5}})
    events.publish(job.stream, {"state": "running", "done": 31})
    ((_, number, second),) = read(next(content))
    assert number == 2
    assert "31 of 120" in second["parts"]["standing"]
    assert 'data-metric="loss">0.5<' in second["parts"]["numbers"]
    assert second["measured"] != first["measured"]
    end(job)
    found = read(b"".join(content))
    assert [(name, number) for name, number, _ in found] == [("state", 3), ("end", None)]
    assert found[0][2]["open"] is False
    assert "/stop/" not in found[0][2]["parts"]["actions"]


def test_a_reader_who_comes_back_goes_on_where_it_was(at_work, make):
    job = make("running")
    for step in range(5):
        events.publish(job.stream, {"state": "running", "done": step})
    response = at_work.get(f"/jobs/{job.pk}/events/", headers={"Last-Event-ID": "5"})
    content = iter(response.streaming_content)
    ((_, number, _),) = read(next(content))
    assert number == 5
    events.publish(job.stream, {"state": "running", "done": 6})
    ((_, number, _),) = read(next(content))
    assert number == 6


def test_a_job_that_has_ended_is_told_once(at_work, make):
    job = make("failed", error="No.")
    response = at_work.get(f"/jobs/{job.pk}/events/", headers={"Last-Event-ID": "9"})
    assert [name for name, _, _ in read(response.getvalue())] == ["state", "end"]


def test_silence_of_the_worker_is_noticed_without_an_event(make, trainer, monkeypatch):
    monkeypatch.setattr(live, "LOOK_EVERY", 0.0)
    job = make("running")
    news = live.follow(str(job.pk), trainer, 0, "token")
    assert next(news).data["standing"] == "running"
    assert next(news) is None
    assert next(news) is None  # looked at, and nothing has changed
    past = timezone.now() - timezone.timedelta(minutes=2)
    Job.objects.filter(pk=job.pk).update(lease_until=past, heartbeat=past)
    assert next(news).data["standing"] == "lost contact"


def test_a_deleted_job_ends_the_stream(make, trainer, monkeypatch):
    monkeypatch.setattr(live, "LOOK_EVERY", 0.0)
    job = make("running")
    news = live.follow(str(job.pk), trainer, 0, "token")
    next(news)
    Job.objects.all().delete()
    assert [event.name for event in news if event is not None] == ["end"]


def test_a_long_stream_ends_so_that_the_page_asks_again(make, trainer, monkeypatch):
    monkeypatch.setattr(live, "LONGEST", -1.0)
    assert list(live.follow(str(make("running").pk), trainer, 0, "token")) == []


def test_forms_in_the_parts_can_be_sent(at_work, make):
    job = make("running")
    html = at_work.get(f"/jobs/{job.pk}/look/").json()["parts"]["actions"]
    assert 'name="csrfmiddlewaretoken"' in html


def test_a_silent_stream_says_that_it_lives(monkeypatch):
    monkeypatch.setattr(streaming, "HEARTBEAT", 0.0)
    quiet = iter([None, None, Event("a", {"x": 1}, 7)])
    content = b"".join(stream(RequestFactory().get("/"), quiet).streaming_content)
    assert content == b": still here\n\n" * 2 + b'id: 7\nevent: a\ndata: {"x": 1}\n\n'


def test_nothing_is_sent_while_there_is_no_news(monkeypatch):
    monkeypatch.setattr(streaming, "POLL_SECONDS", 0.0)
    content = list(stream(RequestFactory().get("/"), iter([None, Event("a", {}), None])).streaming_content)
    assert content == [b"event: a\ndata: {}\n\n"]


def test_readers_who_wait_hold_no_thread():
    def content(news):
        return aiter(stream(AsyncRequestFactory().get("/"), news).streaming_content)

    async def late() -> bytes:
        waiting = [asyncio.create_task(anext(content(itertools.repeat(None)))) for _ in range(60)]
        await asyncio.sleep(0.1)
        line = await asyncio.wait_for(anext(content(iter([None, Event("a", {})]))), 10)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        return line

    assert asyncio.run(late()) == b"event: a\ndata: {}\n\n"


@pytest.mark.parametrize(
    ("said", "number"), [(None, 0), ("12", 12), ("", 0), ("-3", 0), ("two", 0), ("9" * 40, 0), ("²", 0)]
)
def test_the_last_number_seen_is_read_from_whatever_comes(said, number):
    headers = {} if said is None else {"Last-Event-ID": said}
    assert last_seen(RequestFactory().get("/", headers=headers)) == number


def test_it_streams_from_an_event_loop_too(make, trainer):
    job = make("running")

    async def watched() -> bytes:
        client = AsyncClient()
        await client.aforce_login(trainer)
        response = await client.get(f"/jobs/{job.pk}/events/")
        content = aiter(response.streaming_content)
        first = await anext(content)
        await asyncio.to_thread(end, job)
        return first + b"".join([line async for line in content])

    assert [name for name, _, _ in read(asyncio.run(watched()))] == ["state", "state", "end"]
