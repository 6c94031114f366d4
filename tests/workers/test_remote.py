"""The door over the queue: the same answers and the same errors as in process."""

from __future__ import annotations

import os
import threading

import pytest
from django.db import connections

from workers import inference, remote
from workers.tasks import answers

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    "value", [{"a": [1, 2.5, None, "ü"]}, b"\x00\xff", ("name", "text/csv", b"x"), [{"b": b"y"}]]
)
def test_what_goes_through_json_comes_back(value):
    import json

    back = remote.unpack(json.loads(json.dumps({"value": remote.pack(value)})))
    assert back == (list(value) if isinstance(value, tuple) else value)


def test_without_redis_it_says_what_is_missing(settings):
    settings.FERRY_INFERENCE = "queue"
    with pytest.raises(inference.Busy, match="REDIS_URL"):
        inference.search("x")


@pytest.fixture
def queue(settings, science, monkeypatch):
    """A queue whose worker is a thread of this process; what lies between them is real Redis."""
    settings.REDIS_URL = os.environ["FERRY_TEST_REDIS_URL"]
    settings.FERRY_INFERENCE, settings.FERRY_SEARCH_WAIT = "queue", 2.0

    def send(args, **_):
        def work():
            try:
                answers.answer.run(*args)
            finally:
                connections.close_all()

        threading.Thread(target=work).start()

    monkeypatch.setattr(answers.answer, "apply_async", send)
    return science


@pytest.mark.service("redis")
def test_answers_and_errors_come_through(queue):
    assert inference.search("x", libraries=["catalogue"])["text"] == "x"
    assert inference.depict("CCO") == b"\x89PNG\xff"
    with pytest.raises(inference.BadInput) as error:
        inference.search("bad")
    assert (error.value.field, error.value.remedy) == ("text", "Write something else.")
    with pytest.raises(inference.NotFound):
        inference.molecule("catalogue", "missing")
    assert inference.ready()["ready"] is False


@pytest.mark.service("redis")
def test_nobody_there_is_busy(queue, settings, monkeypatch):
    monkeypatch.setattr(answers.answer, "apply_async", lambda **_: None)
    settings.FERRY_SEARCH_WAIT = 0.2
    with pytest.raises(inference.Busy, match="No inference worker"):
        inference.search("x")
