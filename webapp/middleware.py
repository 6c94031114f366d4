"""Small middlewares: an id for every request, a policy for every page, one line in the log for every answer."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from workers import logs

log = logging.getLogger("ferry.access")

Handler = Callable[[HttpRequest], HttpResponse]

GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")

CONTENT_POLICY = "; ".join(  # noqa: FLY002  one rule a line
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "style-src-attr 'unsafe-inline'",  # drawings of molecules carry style attributes
        "img-src 'self' data: blob:",
        "font-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)


class RequestIdMiddleware:
    """Gives each request an id (the proxy's, where it sent a sane one), repeats it in the answer and in the log."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-ID", "")
        request.request_id = given if GIVEN_ID.fullmatch(given) else uuid.uuid4().hex  # type: ignore[attr-defined]
        mark = logs.request_id.set(request.request_id)  # type: ignore[attr-defined]
        started = time.perf_counter()
        try:
            response = self.get_response(request)
            took = (time.perf_counter() - started) * 1000
            level = logging.DEBUG if request.path.startswith(("/health/", "/static/")) else logging.INFO
            log.log(level, "%s %s %d %.0f ms", request.method, request.path, response.status_code, took)
        finally:
            logs.request_id.reset(mark)
        response.headers["X-Request-ID"] = request.request_id  # type: ignore[attr-defined]
        return response


class ContentPolicyMiddleware:
    """Tells the browser that nothing on a page comes from another host and that no script stands in the page."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", CONTENT_POLICY)
        response.headers.setdefault("Permissions-Policy", "camera=(), geolocation=(), payment=()")
        return response


class SyncMiddleware:
    """Does nothing but be synchronous and innermost: then Django runs the whole chain in one thread, without hops."""

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)
