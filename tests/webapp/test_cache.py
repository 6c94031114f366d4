"""The cache while Redis is away, and while it is there."""

from __future__ import annotations

import os

import pytest
from django.core.cache import caches
from django.test import override_settings


def made(url: str):
    """A cache at this address."""
    facts = {"BACKEND": "webapp.cache.OptionalRedisCache", "LOCATION": url, "KEY_PREFIX": "ferry-test"}
    with override_settings(CACHES={"default": facts}):
        return caches.create_connection("default")


def test_without_redis_everything_is_missed_and_nothing_raised():
    cache = made("redis://127.0.0.1:1/0")
    assert cache.get("a", 3) == 3
    assert cache.add("a", 0) is True
    assert cache.incr("a") == 1
    assert cache.get_many(["a", "b"]) == {}
    assert cache.set("a", 1) is None
    assert cache.set_many({"a": 1}) == ["a"]
    assert cache.touch("a") is False
    assert cache.delete("a") is False
    assert cache.has_key("a") is False


@pytest.mark.service("redis")
def test_with_redis_it_is_a_cache():
    cache = made(os.environ["FERRY_TEST_REDIS_URL"])
    cache.delete("counted")
    assert cache.add("counted", 0, timeout=5) is True
    assert cache.incr("counted") == 1
    assert cache.get("counted") == 1
    cache.delete("counted")
    with pytest.raises(ValueError, match="counted"):
        cache.incr("counted")
