"""Tests of the page talk to a scripted door: what the page makes of its answers is tested here, not the answers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.webapp import decoding_fakes


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> decoding_fakes.Decoding:
    """The scripted door."""
    return decoding_fakes.install(monkeypatch)


@pytest.fixture
def page(client: Any, db: Any, door: decoding_fakes.Decoding) -> Any:
    """Fetch or post the page and return its text, after checking its status (200 unless told)."""

    def fetch(
        query: str = "", status: int = 200, *, post: dict[str, str] | None = None, **options: Any
    ) -> str:
        address = f"/decoding/{query}"
        response = client.get(address, **options) if post is None else client.post(address, post, **options)
        assert response.status_code == status, response.content[:2000]
        return response.content.decode()

    return fetch
