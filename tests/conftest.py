"""What every test may use, and what happens to tests whose service is not there."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

REQUIRED = os.environ.get("FERRY_REQUIRE_SERVICES") == "1"
BROWSER_FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
BROWSERS = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")


def redis_url() -> str | None:
    """The Redis that tests may empty, if it answers."""
    url = os.environ.get("FERRY_TEST_REDIS_URL")
    return url if url and _listens(url, 6379) else None


def database_url() -> str | None:
    """The PostgreSQL server that tests may use, if it answers."""
    url = os.environ.get("FERRY_TEST_DATABASE_URL")
    return url if url and _listens(url, 5432) else None


def chromium() -> str | None:
    """The browser's program, if there is one."""
    named = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    return named or next((path for path in BROWSERS if os.path.exists(path)), None)  # noqa: PTH110


def _listens(url: str, port: int) -> bool:
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname or "127.0.0.1", parts.port or port), timeout=1):
            return True
    except OSError:
        return False


def pytest_report_header() -> str:
    """Which database the tests run on."""
    from django.db import connection

    return f"database: {connection.vendor}"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose service is missing; in CI, where every service is promised, fail it."""
    missing = None
    for mark in item.iter_markers("service"):
        for name in mark.args or ("redis",):
            if (redis_url() if name == "redis" else database_url()) is None:
                missing = (
                    f"{name} does not answer: set FERRY_TEST_{'REDIS' if name == 'redis' else 'DATABASE'}_URL"
                )
    if item.get_closest_marker("browser") and chromium() is None:
        missing = "there is no Chromium: install the package 'chromium'"
    if missing and REQUIRED:
        pytest.fail(f"{missing} (FERRY_REQUIRE_SERVICES=1)", pytrace=False)
    if missing:
        pytest.skip(missing)


@pytest.fixture(scope="session", autouse=True)
def histories_may_be_emptied() -> Iterator[None]:
    """Between two tests tables are emptied, which the database refuses for those that only grow: let it, then."""
    from django.db import connection
    from django.test import TransactionTestCase

    from workers import guards

    def emptied(case: Any) -> None:
        if connection.vendor == "sqlite":  # PostgreSQL truncates, past the triggers
            with connection.cursor() as cursor:
                for table in guards.APPEND_ONLY:
                    cursor.execute(f"DROP TRIGGER IF EXISTS {table}_no_delete")
        plain(case)  # ends with the signal that lays the triggers again

    plain = TransactionTestCase._fixture_teardown
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", emptied)
        yield


@pytest.fixture(scope="session")
def browser_path() -> str:
    """Where Chromium is, for tests marked ``browser``."""
    path = chromium()
    assert path is not None
    return path


@pytest.fixture(scope="module")
def browser(browser_path: str) -> Iterator[Any]:
    """Headless Chromium. One a module: Playwright keeps an event loop in this thread while it is open."""
    from playwright.sync_api import sync_playwright

    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv(
            "DJANGO_ALLOW_ASYNC_UNSAFE", "1"
        )  # the fixtures' few queries here are meant to be synchronous
        running = playwright.chromium.launch(executable_path=browser_path, args=list(BROWSER_FLAGS))
        yield running
        running.close()


@pytest.fixture
def member(db, django_user_model):
    """A person with the role 'member'."""
    return _person(django_user_model, "mia", "member")


@pytest.fixture
def other_member(db, django_user_model):
    """Another one."""
    return _person(django_user_model, "otto", "member")


@pytest.fixture
def viewer(db, django_user_model):
    """A person who may only read."""
    return _person(django_user_model, "vera", "viewer")


@pytest.fixture
def trainer(db, django_user_model):
    """A person with the role 'trainer'."""
    return _person(django_user_model, "theo", "trainer")


@pytest.fixture
def administrator(db, django_user_model):
    """An administrator."""
    user = _person(django_user_model, "ada", "admin")
    user.is_staff = user.is_superuser = True
    user.save()
    return user


def _person(model, name: str, role: str):
    from django.contrib.auth.models import Group

    user = model.objects.create_user(name, password="correct horse battery")
    user.groups.add(Group.objects.get(name=role))
    return user
