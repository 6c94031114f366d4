"""The Swagger page in a real browser, under the site's content policy: it draws, and asks this host only."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.browser


def test_it_draws_and_asks_no_other_host(
    live_server: Any, door: Any, shelf: Any, browser_path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from playwright.sync_api import sync_playwright

    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # playwright's loop runs in this thread
    asked: list[str] = []
    complaints: list[str] = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on(
            "console", lambda message: complaints.append(message.text) if message.type == "error" else None
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{live_server.url}/api/docs/")
        page.wait_for_selector("#operations-search-search")
        page.click("#operations-search-search .opblock-summary-control")
        page.wait_for_selector("#operations-search-search .try-out")
        browser.close()
    assert complaints == []
    assert all(url.startswith((f"{live_server.url}/", "data:", "blob:")) for url in asked), asked
