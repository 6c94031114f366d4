"""The cache in Redis, without which everything still works: while Redis is away it holds nothing and counts nobody."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from django.core.cache.backends.redis import RedisCache
from redis.exceptions import ConnectionError as Away
from redis.exceptions import TimeoutError as Slow

log = logging.getLogger(__name__)


class OptionalRedisCache(RedisCache):
    """Django's Redis cache that misses, instead of raising, while Redis is away."""

    def get(self, key: Any, default: Any = None, version: Any = None) -> Any:
        """The value, or ``default``."""
        return _or(default, partial(super().get, key, default, version=version))

    def get_many(self, *args: Any, **options: Any) -> Any:
        """What is there."""
        return _or({}, partial(super().get_many, *args, **options))

    def set(self, *args: Any, **options: Any) -> Any:
        """Keep a value."""
        return _or(None, partial(super().set, *args, **options))

    def set_many(self, data: Any, *args: Any, **options: Any) -> Any:
        """Keep values; the keys of those that were not kept."""
        return _or(list(data), partial(super().set_many, data, *args, **options))

    def add(self, *args: Any, **options: Any) -> Any:
        """Keep a value where there is none."""
        return _or(True, partial(super().add, *args, **options))

    def incr(self, key: Any, delta: int = 1, version: Any = None) -> Any:
        """Count; as if for the first time while nobody can."""
        return _or(delta, partial(super().incr, key, delta, version=version))

    def touch(self, *args: Any, **options: Any) -> Any:
        """Keep longer."""
        return _or(False, partial(super().touch, *args, **options))

    def delete(self, *args: Any, **options: Any) -> Any:
        """Forget."""
        return _or(False, partial(super().delete, *args, **options))

    def has_key(self, *args: Any, **options: Any) -> Any:
        """Whether it is there."""
        return _or(False, partial(super().has_key, *args, **options))


def _or(instead: Any, act: Callable[[], Any]) -> Any:
    """What ``act`` returns, ``instead`` while Redis cannot be reached."""
    try:
        return act()
    except (Away, Slow) as error:
        log.warning("the cache is away: %s", error)
        return instead
