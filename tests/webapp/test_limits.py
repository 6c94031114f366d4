"""The limit on uploads, below Django: a body that is too large is never read."""

from __future__ import annotations

import asyncio
import json

import pytest

from webapp.limits import UploadLimit

LIMIT = 1000


def ask(path: str, headers: dict[str, str], chunks: list[bytes]):
    """Send a request through the limit; status, headers, body, and how many chunks were read."""
    sent, read = [], 0
    seen: list[bytes] = []

    async def application(scope, receive, send):
        more = True
        while more:
            message = await receive()
            seen.append(message["body"])
            more = message["more_body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"read"})

    async def receive():
        nonlocal read
        read += 1
        return {"type": "http.request", "body": chunks[read - 1], "more_body": read < len(chunks)}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "path": path,
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    asyncio.run(UploadLimit(application, LIMIT, wrapping=0)(scope, receive, send))
    answer = dict(sent[0]["headers"])
    return sent[0]["status"], answer, sent[1]["body"], read


def test_what_fits_passes_untouched():
    status, _, body, read = ask("/libraries/", {"content-length": "1000"}, [b"x" * 600, b"x" * 400])
    assert (status, body, read) == (200, b"read", 2)


def test_an_announced_giant_is_refused_before_a_byte_is_read():
    status, headers, body, read = ask("/api/v1/libraries/", {"content-length": str(2 * 10**9)}, [b"x"])
    assert (status, read) == (413, 0)
    assert headers[b"content-type"] == b"application/problem+json"
    problem = json.loads(body)
    assert problem["status"] == 413
    assert "2,000 MB" in problem["detail"]
    assert problem["errors"][0]["field"] == "file"


def test_a_page_gets_a_page():
    status, headers, body, _ = ask("/libraries/", {"content-length": "1001"}, [b"x"])
    assert status == 413
    assert headers[b"content-type"].startswith(b"text/html")
    assert b"FERRY_MAX_UPLOAD_MB" in body


def test_that_page_has_the_look_of_the_others():
    _, headers, body, _ = ask("/libraries/new/", {"content-length": "1001"}, [b"x"])
    page = body.decode()
    assert "<h1>The upload is too large</h1>" in page
    assert 'class="bar"' in page
    assert "css/base.css" in page
    assert 'href="/libraries/">Back to the libraries</a>' in page
    assert headers[b"x-request-id"].decode() in page
    assert b"default-src 'none'" in headers[b"content-security-policy"]


@pytest.mark.parametrize("headers", [{}, {"content-length": "abc"}, {"content-length": "-5"}])
def test_an_unannounced_giant_is_stopped_while_it_is_counted(headers):
    status, _, _, read = ask("/libraries/", headers, [b"x" * 400] * 10)
    assert (status, read) == (413, 3)


def test_other_protocols_pass():
    passed = []

    async def application(scope, receive, send):
        passed.append(scope["type"])

    asyncio.run(UploadLimit(application, 1)({"type": "lifespan"}, None, None))
    assert passed == ["lifespan"]
