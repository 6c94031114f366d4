"""What every error of the API looks like."""

from __future__ import annotations

from typing import Any


def check(response: Any, status: int, *words: str, field: str | None = None) -> dict[str, Any]:
    """Assert that a response is a full problem document that says ``words``; gives the document back."""
    assert response.status_code == status, response.content[:500]
    assert response.headers["Content-Type"] == "application/problem+json"
    body = response.json()
    assert set(body) == {"type", "title", "status", "detail", "instance", "errors", "request_id"}
    assert body["status"] == status
    assert body["type"].startswith("urn:ferry:problem:")
    assert body["request_id"] == response.headers["X-Request-ID"]
    told = body["detail"].lower()
    for word in words:
        assert word.lower() in told, (word, body["detail"])
    if field is not None:
        assert field in [error["field"] for error in body["errors"]], body["errors"]
    return body
