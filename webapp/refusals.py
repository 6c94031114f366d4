"""Answers that are given before Django sees the request: refused, in the words that everything else uses."""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

from webapp.errors import drawn, facts_of
from webapp.middleware import CONTENT_POLICY

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True)
class Refusal:
    """Why: its status, kind of problem, title, what was wrong and what to do; ``field`` where one is at fault."""

    status: int
    kind: str
    title: str
    detail: str
    remedy: str
    back: str = "/"
    field: str = ""


async def refuse(
    scope: Scope, send: Send, refusal: Refusal, headers: Sequence[tuple[bytes, bytes]] = ()
) -> None:
    """Answer with problem details under ``/api/``, with a page elsewhere."""
    request_id = uuid.uuid4().hex
    if scope["path"].startswith("/api/"):
        content, body = b"application/problem+json", _problem(scope, refusal, request_id)
    else:
        facts = facts_of(refusal.status, refusal.detail, refusal.remedy, request_id, back=refusal.back)
        content, body = b"text/html; charset=utf-8", drawn(facts).encode()
    every = [
        (b"content-type", content),
        (b"content-length", str(len(body)).encode()),
        (b"content-security-policy", CONTENT_POLICY.encode()),
        (b"x-request-id", request_id.encode()),
        *headers,
    ]
    await send({"type": "http.response.start", "status": refusal.status, "headers": every})
    await send({"type": "http.response.body", "body": body})


def _problem(scope: Scope, refusal: Refusal, request_id: str) -> bytes:
    error = {"field": refusal.field, "message": refusal.detail, "remedy": refusal.remedy}
    document = {
        "type": f"urn:ferry:problem:{refusal.kind}",
        "title": refusal.title,
        "status": refusal.status,
        "detail": f"{refusal.detail} {refusal.remedy}",
        "instance": scope["path"],
        "errors": [error] if refusal.field else [],
        "request_id": request_id,
    }
    return json.dumps(document).encode()
