"""Whether the broker can be reached: Redis, or the folder that stands in for it."""

from __future__ import annotations

import os
from typing import Any

from django.conf import settings


def state() -> dict[str, Any]:
    """``{"kind": "Redis" | "folder", "reachable", "message", "waiting"}``; ``waiting`` counts bells not yet heard."""
    return _redis() if settings.REDIS_URL else _folder()


def _redis() -> dict[str, Any]:
    import redis

    from workers.celery import QUEUES

    client = redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=2, socket_timeout=2)
    try:
        waiting = sum(int(client.llen(queue)) for queue in QUEUES)
    except redis.RedisError as error:
        return {
            "kind": "Redis",
            "reachable": False,
            "message": f"Redis does not answer ({type(error).__name__}). Jobs wait until it is back.",
            "waiting": None,
        }
    finally:
        client.close()
    return {"kind": "Redis", "reachable": True, "message": "Redis answers.", "waiting": waiting}


def _folder() -> dict[str, Any]:
    folder = settings.FERRY_DATA / "broker" / "messages"
    if folder.exists() and not os.access(folder, os.W_OK):
        return {
            "kind": "folder",
            "reachable": False,
            "message": f"{folder} cannot be written. Give it to the user that Ferry runs as.",
            "waiting": None,
        }
    waiting = sum(1 for _ in folder.glob("*.msg")) if folder.exists() else 0
    return {"kind": "folder", "reachable": True, "message": "The folder can be written.", "waiting": waiting}
