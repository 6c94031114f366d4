"""A real browser before a real server: the shipped model where there is one, else the small door of the page tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

MODEL = Path(__file__).parents[2] / "models" / "retrieval"
SHIPPED = (MODEL / "card.json").is_file() and (MODEL / "catalogue" / "manifest.json").is_file()
PATIENCE = 60_000 if SHIPPED else 15_000


@pytest.fixture
def site(live_server: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a running server."""
    if SHIPPED:
        from workers import engine

        engine.shared().warm()  # no page waits for the model to be loaded
    else:
        from tests.webapp import fakes

        fakes.install(monkeypatch)
    return live_server.url


@pytest.fixture
def open_page(browser: Any, site: str) -> Iterator[Any]:
    """``open_page("/", **context options)``: a new visitor's page.

    A test fails when any of its pages broke the content policy, raised in a script, or asked another host.
    """
    contexts, faults = [], []

    def open_at(path: str, **options: Any) -> Any:
        context = browser.new_context(base_url=site, **options)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(f"script: {error}"))
        page.on(
            "console",
            lambda said: faults.append(said.text) if "Content Security Policy" in said.text else None,
        )
        page.on(
            "request",
            lambda asked: (
                None if asked.url.startswith((site, "blob:", "data:")) else faults.append(asked.url)
            ),
        )
        page.goto(path)
        return page

    yield open_at
    for context in contexts:
        context.close()
    assert faults == []
