"""Page tests talk to a fake door: what the pages make of its answers is tested here, not the answers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.webapp import fakes as page_fakes


@pytest.fixture
def fakes() -> Any:
    """The fakes' constants."""
    return page_fakes


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> page_fakes.FakeDoor:
    """A fake door in front of the pages."""
    return page_fakes.install(monkeypatch)


@pytest.fixture
def page(client: Any, db: Any, door: page_fakes.FakeDoor) -> Any:
    """Fetch a page and return its text, after checking its status (200 unless told)."""

    def fetch(address: str, status: int = 200, **options: Any) -> str:
        response = client.get(address, **options)
        assert response.status_code == status, response.content[:2000]
        return response.content.decode()

    return fetch
