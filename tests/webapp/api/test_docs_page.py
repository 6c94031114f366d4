"""The Swagger page in a real browser, under the site's content policy: it draws, and asks this host only."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.browser


def test_it_draws_and_asks_no_other_host(live_server: Any, door: Any, shelf: Any, browser: Any) -> None:
    asked: list[str] = []
    complaints: list[str] = []
    page = browser.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{live_server.url}/api/docs/")
    page.wait_for_selector("#operations-search-search")
    page.click("#operations-search-search .opblock-summary-control")
    page.wait_for_selector("#operations-search-search .try-out")
    page.close()
    assert complaints == []
    assert all(url.startswith((f"{live_server.url}/", "data:", "blob:")) for url in asked), asked
