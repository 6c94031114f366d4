"""The stream of a run: its events, its faults, and a reader who leaves; the plot of reward against distance."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from pathlib import Path

import pytest
from django.http import QueryDict
from django.test import AsyncClient

from tests.webapp.decoding.test_decoding_page import ASKED
from tests.webapp.search.test_palette import contrast
from webapp.decoding import frontier, live
from webapp.decoding.known import Known
from webapp.decoding.run import Run
from webapp.decoding.state import DecodingState
from workers.inference import Busy

STREAM = "/decoding/stream/"
CSS = Path(__file__).parents[3] / "frontend" / "static" / "css"


def read(body):
    """Names and data of server-sent events."""
    parts = [part.split("\ndata: ", 1) for part in body.decode().strip().split("\n\n")]
    return [(name.removeprefix("event: "), json.loads(data)) for name, data in parts]


@pytest.fixture
def streamed(client, db, door):
    def ask(values):
        response = client.post(STREAM, values)
        assert response.status_code == 200
        return response

    return ask


def test_events_come_in_the_order_of_the_door(streamed):
    response = streamed(ASKED)
    assert response.headers["Content-Type"] == "text/event-stream"
    assert response.headers["X-Accel-Buffering"] == "no"
    events = read(response.getvalue())
    names = [name for name, _ in events]
    plain, drafting = ["token"] * 5 + ["done"], ["drafted"] + ["token"] * 5 + ["done"]
    assert names == ["opened", *plain, *drafting, *drafting, "closed"]
    opened, closed = events[0][1], events[-1][1]
    assert opened["html"].count("<article ") == 3
    assert 'data-state="waiting"' in opened["html"]
    assert opened["address"].startswith("/decoding/?task=molecule&prompt=The+molecule")
    assert set(closed["speeds"]) == {"1", "2"}
    assert "1.9×" in closed["speeds"]["2"]


def test_the_stream_writes_what_the_finished_page_shows(streamed, page):
    """The bits put together are the page without scripts, but for the titles that only that has."""
    events = read(streamed(ASKED).getvalue())
    still = page(post=ASKED)
    for number in range(3):
        pieces = "".join(
            data["html"]
            for name, data in events
            if data.get("lane") == number and name in ("drafted", "token")
        )
        whole = re.search(rf'data-lane="{number}".*?<p class="tokens"[^>]*>(.*?)</p>', still, re.DOTALL)[1]
        assert pieces
        assert re.sub(r'(data-card="[^"]*") title="[^"]*"', r"\1", whole) == pieces


def test_a_fault_comes_as_an_event_with_its_field(streamed, door):
    ((name, data),) = read(streamed({**ASKED, "m2_length": "many"}).getvalue())
    assert name == "fault"
    assert data["field"] == "m2_length"
    assert "is not a value of" in data["html"]
    door.fault = Busy("Two are decoding already.")
    *_, (name, data) = read(streamed(ASKED).getvalue())
    assert name == "fault"
    assert "The server is busy" in data["html"]


def test_a_reader_who_leaves_stops_the_door_at_the_next_token(streamed, door):
    response = streamed(ASKED)
    content = iter(response.streaming_content)
    for _ in range(3):
        next(content)
    told = door.told
    response.close()
    assert list(content) == []
    assert door.told <= told + 1


def test_in_an_event_loop_too(door, db):
    async def leave():
        response = await AsyncClient().post(STREAM, ASKED)
        content = response._iterator
        first = [await anext(content) for _ in range(3)]
        await content.aclose()
        return first

    first = asyncio.run(leave())
    assert first[0].startswith(b"event: opened")
    assert first[1].startswith(b"event: token")
    assert door.told <= 4


def test_the_door_is_asked_to_stop_once_the_reader_is_gone(door):

    known = Known.read(door.describe(), door.models())

    query = QueryDict(mutable=True)
    query.update(ASKED)
    left = threading.Event()
    events = live.events(Run(DecodingState.read(query, known), known, "http://ferry/"), left)
    assert [next(events).name for _ in range(3)] == ["opened", "token", "token"]
    left.set()
    assert list(events) == []
    assert door.stopped


def test_many_drafts_of_whole_answers_are_kept_once(door):
    """Best of N tells all its answers so far again and again; the record holds the last telling."""

    known = Known.read(door.describe(), door.models())
    query = QueryDict("task=molecule&prompt=x&m1=best_of&reward=qed")
    run = Run(DecodingState.read(query, known), known, "http://ferry/")
    steps = iter(door.watch(run.request))
    run.take(next(steps))
    mine, other = [{"id": 1, "text": "C"}], [{"id": 2, "text": "N"}]
    for length in (1, 2, 3):
        told = run.take({"event": "drafted", "lane": 0, "drafts": [mine * length, other * length]})
        assert told.data["html"] == ""
        assert told.data["drafts"] == f"2 drafts of {length} tokens"
    for _ in range(3):
        run.take({"event": "token", "lane": 0, "id": 1, "text": "C", "kind": "chosen", "alternatives": None})
    done = next(event for event in steps if event["event"] == "done")
    run.take(done)
    assert run.lanes[0].html.count("<del>") == 1
    assert "<del>NNN</del>" in run.lanes[0].html
    assert [event["event"] for event in run.record["lanes"][0]["tokens"]] == ["drafted", *["token"] * 3]


def test_the_baseline_that_nobody_asked_to_see_is_no_lane(door):
    known = Known.read(door.describe(), door.models())

    run = Run(DecodingState.read(QueryDict("prompt=x&m1=spectr"), known), known, "http://ferry/")
    steps = iter(door.watch(run.request))
    run.take(next(steps))
    token = {"event": "token", "id": 1, "text": "C", "kind": "sampled", "alternatives": None}
    assert run.take({**token, "lane": -1}) is None
    assert run.take({**token, "lane": 5}) is None
    assert run.lanes[0].html == ""


def test_only_posts_are_streamed(client, db, door):
    assert client.get(STREAM).status_code == 405


ASKED_REWARD = {**ASKED, "m2": "best_of", "m3": "cd", "reward": "qed"}


def test_reward_against_distance_is_drawn_and_listed(client, db, door):
    text = client.post("/decoding/frontier/", ASKED_REWARD, HTTP_HX_REQUEST="true").content.decode()
    assert text.lstrip().startswith("<figure")
    assert 'aria-label="Mean reward against KL divergence.' in text
    assert "var(--curve-1)" in text
    assert "α = 0.5" in text
    assert "N = 8" in text
    assert text.count('<th scope="row">') == 5
    whole = client.post("/decoding/frontier/", ASKED_REWARD).content.decode()
    assert "Back to the answers" in whole


def test_labels_of_a_plot_do_not_stand_on_each_other():
    rows = [{"kl": kl, "reward": 0.5, "setting": str(kl)} for kl in (0.0, 0.1, 5.0, 5.1, 10.0)]
    assert frontier.labels(rows) == ["0.0", "", "5.0", "", "10.0"]


def test_a_plot_that_cannot_be_made_says_why(client, db, door, monkeypatch):
    def busy(request):
        raise Busy("Two are decoding already.")

    monkeypatch.setattr("workers.inference.decoding_frontier", busy)
    response = client.post("/decoding/frontier/", ASKED_REWARD, HTTP_HX_REQUEST="true")
    assert response.status_code == 503
    assert "Two are decoding already." in response.content.decode()


def colours(theme):
    """The colours of both sheets that this page uses."""
    text = "".join((CSS / name).read_text(encoding="utf-8") for name in ("tokens.css", "decoding.css"))
    found = re.findall(r"--([a-z0-9-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", text)
    return {name: tuple(int(pair[theme][at : at + 2], 16) / 255 for at in (1, 3, 5)) for name, *pair in found}


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("kind", ["accepted", "corrected", "bonus", "chosen"])
def test_tokens_can_be_read_and_their_marks_be_seen(theme, kind):
    palette = colours(theme)
    ground = palette[f"{kind}-soft"]
    assert contrast(palette["ink"], ground) >= 4.5
    assert contrast(palette[kind], ground) >= 3
    assert contrast(palette[kind], palette["surface"]) >= 3


def test_kinds_differ_by_more_than_colour():
    text = (CSS / "decoding.css").read_text(encoding="utf-8")
    styles = {
        kind: re.search(rf"^\.token\.{kind} \{{(.*)\}}", text, re.MULTILINE)[1]
        for kind in ("sampled", "accepted", "corrected", "bonus", "chosen")
    }
    lines = {
        kind: " ".join(re.findall(r"solid|wavy|double|dotted|\dpx", style)) for kind, style in styles.items()
    }
    assert len(set(lines.values())) == len(lines)
