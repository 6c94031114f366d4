"""A map that learns, on the page: its events, its end without scripts, and a reader who leaves."""

from __future__ import annotations

import asyncio
import json
import threading

import pytest
from django.test import AsyncClient, AsyncRequestFactory, RequestFactory

from webapp.streaming import Event, stream
from webapp.transport import film, picture
from workers import transport

CLOUDS = "?source=moons&source_n=20&source_seed=1&target=ring&target_n=20&target_seed=2&map_seconds=1"


def read(body):
    """Names and data of server-sent events."""
    parts = [part.split("\ndata: ", 1) for part in body.decode().strip().split("\n\n")]
    return [(name.removeprefix("event: "), json.loads(data)) for name, data in parts]


def test_frames_come_one_by_one_and_the_last_says_so(client, db):
    response = client.get(f"/transport/watch/{CLOUDS}")
    assert response.headers["Content-Type"] == "text/event-stream"
    (opening, begun), *frames = read(b"".join(response.streaming_content))
    assert opening == "opening"
    assert "<svg" in begun["html"]
    assert {name for name, _ in frames} == {"frame"}
    assert [frame["last"] for _, frame in frames] == [False] * (len(frames) - 1) + [True]
    for _, frame in frames:
        assert frame["lattice"].count("M") == 26
        assert frame["images"].count("h0") == 400


def test_it_streams_from_an_event_loop_too():
    async def first():
        response = await AsyncClient().get(f"/transport/watch/{CLOUDS}")
        content = aiter(response.streaming_content)
        return await anext(content), await anext(content)

    opening, frame = asyncio.run(first())
    assert opening.startswith(b"event: opening")
    assert frame.startswith(b"event: frame")


def test_a_reader_who_leaves_ends_the_training(client, db):
    responses = [client.get(f"/transport/watch/{CLOUDS}") for _ in range(transport.MAPS)]
    for response in responses:
        next(iter(response.streaming_content))
    assert "being trained already" in client.get(f"/transport/watch/{CLOUDS}").getvalue().decode()
    for response in responses:
        response.close()
    del responses, response
    assert b"opening" in next(iter(client.get(f"/transport/watch/{CLOUDS}").streaming_content))


@pytest.mark.parametrize("reads_all", [True, False])
def test_left_is_called_at_the_end_and_when_the_reader_goes(db, reads_all):
    left = threading.Event()
    response = stream(RequestFactory().get("/"), iter([Event("a", {}), Event("b", {})]), left.set)
    content = iter(response.streaming_content)
    next(content)
    assert not left.is_set()
    list(content) if reads_all else response.close()
    assert left.is_set()


@pytest.mark.parametrize("reads_all", [True, False])
def test_left_is_called_in_an_event_loop_too(reads_all):
    async def act():
        left = threading.Event()
        response = stream(AsyncRequestFactory().get("/"), iter([Event("a", {}), Event("b", {})]), left.set)
        content = response._iterator
        assert await anext(content) == b"event: a\ndata: {}\n\n"
        assert not left.is_set()
        if reads_all:
            assert [line async for line in content] == [b"event: b\ndata: {}\n\n"]
        else:
            await content.aclose()
        assert left.is_set()

    asyncio.run(act())


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("&map_strength=strong", "Give a number from 0 to 10"),
        ("&map_seconds=9999", "from 1 to 20"),
        ("&cost=geodesic&cost_squared=true", "squared = false"),
        ("&source=points&source_points=0 0%0A1 1", "at least 32"),
        ("&source=cheese", "no sampled cloud"),
        ("&source=points&source_points=2q.AAA", "damaged"),
    ],
)
def test_faults_are_words_in_the_stream_and_on_the_page(client, db, address, words):
    pairs = dict(pair.split("=", 1) for pair in (CLOUDS + address)[1:].split("&"))
    query = "?" + "&".join(f"{name}={value}" for name, value in pairs.items())
    ((name, fault),) = read(client.get(f"/transport/watch/{query}").getvalue())
    assert name == "fault"
    assert words in fault["text"]
    refused = client.get(f"/transport/map/{query}")
    assert refused.status_code == 422
    assert words in refused.content.decode()


def test_nothing_is_begun_again_by_a_browser_that_connects_again(client, db):
    assert client.get(f"/transport/watch/{CLOUDS}", headers={"Last-Event-ID": "3"}).status_code == 204


def test_without_scripts_the_end_is_a_page(client, db):
    text = client.get(f"/transport/map/{CLOUDS}").content.decode()
    assert 'data-film="lattice" d="M' in text
    assert "Monge gap" in text
    assert "Back to the laboratory" in text


def test_a_lattice_that_stays_is_drawn_where_it_is():
    board = picture.board(*({"points": [[-1, -1], [1, 1]], "weights": [0.5, 0.5]} for _ in range(2)))
    event = {
        "lattice": [[[-1, 0], [1, 0]], [[-1, 1], [1, 1]]],
        "images": [[0, 0], [1e30, 0]],
        "step": 0,
        "steps": 0,
    }
    event |= {"seconds": 0.0, "divergence": 0.0, "gap": -1e-4, "last": True}
    found = film.frame(board, event, event)
    x, y = board.view.place((-1, 0))
    assert found["lattice"].startswith(f"M{x:.1f} {y:.1f}L")
    assert found["lattice"].count("M") == 4
    assert found["images"].endswith("M100000.0 270.0h0")
    assert found["gap"] == "−0.0001"
