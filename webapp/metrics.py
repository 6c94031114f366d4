"""``/metrics`` for Prometheus, and the middleware that times every answer."""

from __future__ import annotations

import hmac
import ipaddress
import time

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from webapp.middleware import Handler
from workers import metrics

#: so that a path nobody knows cannot make a label of its own
_UNKNOWN = "unknown"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class MetricsMiddleware:
    """Answers ``/metrics`` before hosts are looked at, and counts everything else by view and status."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path.rstrip("/") == "/metrics":
            return _answer(request)
        started = time.perf_counter()
        response = self.get_response(request)
        view = request.resolver_match.view_name if request.resolver_match else _UNKNOWN
        method = request.method if request.method in _METHODS else _UNKNOWN
        metrics.REQUESTS.labels(method, view, response.status_code).observe(time.perf_counter() - started)
        return response


def _answer(request: HttpRequest) -> HttpResponse:
    if not may_read(request):
        response = HttpResponse(
            "The figures are for this network. From elsewhere send 'Authorization: Bearer TOKEN' with the token in "
            "FERRY_METRICS_TOKEN.\n",
            status=403,
            content_type="text/plain; charset=utf-8",
        )
        response._has_been_logged = True  # type: ignore[attr-defined]
        return response
    return HttpResponse(
        metrics.text(), content_type=metrics.CONTENT_TYPE, headers={"Cache-Control": "no-store"}
    )


def may_read(request: HttpRequest) -> bool:
    """Whether ``request`` has the token, or comes straight from a private address.

    What a proxy sends on comes from the proxy's address, which says nothing of who asked: that needs the token.
    """
    token = settings.FERRY_METRICS_TOKEN
    given = request.headers.get("Authorization", "")
    if token and hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        return True
    if any(name in request.headers for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP", "Via")):
        return False
    try:
        address = ipaddress.ip_address(request.META.get("REMOTE_ADDR", ""))
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return bool(mapped.is_loopback or mapped.is_private)
