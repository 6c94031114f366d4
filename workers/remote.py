"""The same door over the queue: the question goes out as a Celery task, the answer comes back through a Redis list."""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Mapping
from functools import cache
from typing import Any

from django.conf import settings

from workers import calls
from workers.calls import Call
from workers.errors import BadInput, Busy, NotFound

ANSWER_SECONDS = 60
#: how often an asker looks whether anybody still waits for its answer
LOOK_SECONDS = 0.5
READY_SECONDS = 2.0
ERRORS = {"BadInput": BadInput, "NotFound": NotFound, "Busy": Busy}


def ask(verb: str, arguments: Mapping[str, Any], wait: float | None = None) -> Any:
    """The answer of an inference worker. Raises what the door raises; Busy when none answers in time.

    The deadline of the current call goes with the question; a question whose asker has gone is marked, so that a worker
    that has not begun leaves it.
    """
    from workers.tasks.answers import answer

    if not settings.REDIS_URL:
        raise Busy("FERRY_INFERENCE=queue needs REDIS_URL: the answers come back through Redis.")
    call = calls.current()
    wait = min(settings.FERRY_SEARCH_WAIT if wait is None else wait, call.left)
    key = f"ferry:answer:{uuid.uuid4().hex}"
    deadline = time.time() + wait
    try:
        answer.apply_async(
            args=[key, verb, dict(arguments), deadline], queue="inference", expires=wait + 1, retry=False
        )
        found = _awaited(key, deadline, call)
    except Exception as error:  # whatever the clients of broker and Redis raise
        raise Busy(
            f"The inference workers cannot be reached ({type(error).__name__}). Try again in a moment."
        ) from error
    if found is None:
        raise Busy(f"No inference worker answered within {wait:.0f} s. Try again in a moment.")
    return unpack(json.loads(found[1]))


def _awaited(key: str, deadline: float, call: Call) -> Any:
    """What comes under ``key`` until the deadline; None when nothing does or the caller has gone."""
    link = client(settings.REDIS_URL)
    while (left := deadline - time.time()) > 0:
        found = link.blpop([key], timeout=min(left, LOOK_SECONDS))
        if found is not None:
            return found
        if call.gone:
            link.set(f"{key}:gone", 1, ex=ANSWER_SECONDS)
            return None
    return None


def ready() -> dict[str, Any]:
    """Whether a worker says that it is ready."""
    try:
        return ask("ready", {}, wait=READY_SECONDS)
    except Busy as error:
        return {"ready": False, "problem": str(error)}


def reply(key: str, verb: str, arguments: Mapping[str, Any], left: float = float("inf")) -> None:
    """On the worker's side: answer within ``left`` seconds and put the answer where the asker waits."""
    from workers import engine

    body: dict[str, Any] = {"fault": "the inference worker was stopped"}
    try:
        call = Call(time.monotonic() + left, gone=bool(client(settings.REDIS_URL).exists(f"{key}:gone")))
        with calls.answering(call):
            value = engine.shared().ready() if verb == "ready" else engine.shared().answer(verb, arguments)
        body = {"value": pack(value)}
    except BadInput as error:
        body = {"error": "BadInput", "args": [error.message, error.field, error.remedy]}
    except (NotFound, Busy) as error:
        body = {"error": type(error).__name__, "args": [str(error)]}
    except Exception as error:
        body = {"fault": f"{type(error).__name__} in an inference worker"}
        raise
    finally:
        link = client(settings.REDIS_URL)
        link.lpush(key, json.dumps(body))
        link.expire(key, ANSWER_SECONDS)


def pack(value: Any) -> Any:
    """Bytes and tuples as JSON."""
    if isinstance(value, bytes):
        return {"__bytes__": base64.b64encode(value).decode("ascii")}
    if isinstance(value, (list, tuple)):
        return [pack(entry) for entry in value]
    if isinstance(value, dict):
        return {key: pack(entry) for key, entry in value.items()}
    return value


def unpack(body: dict[str, Any]) -> Any:
    """The value of an answer, or its error raised."""
    if "error" in body:
        raise ERRORS[body["error"]](*body["args"])
    if "fault" in body:
        raise RuntimeError(body["fault"])
    return _unpacked(body["value"])


def _unpacked(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {"__bytes__"}:
            return base64.b64decode(value["__bytes__"])
        return {key: _unpacked(entry) for key, entry in value.items()}
    return [_unpacked(entry) for entry in value] if isinstance(value, list) else value


@cache
def client(url: str) -> Any:
    """One connection pool per process."""
    import redis

    return redis.Redis.from_url(url, health_check_interval=30)
