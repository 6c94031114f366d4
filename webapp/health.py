"""Two probes: is the process alive, and can it answer a search. Neither asks which host name was used."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse

from webapp.middleware import Handler
from workers import inference


class HealthMiddleware:
    """Answers ``/health/live`` and ``/health/ready`` before hosts, sessions and redirects are looked at."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        path = request.path.rstrip("/")
        if path == "/health/live":
            return _answer({"live": True}, 200)
        if path == "/health/ready":
            state = inference.ready()
            return _answer(state, 200 if state["ready"] else 503)
        return self.get_response(request)


def _answer(body: dict[str, object], status: int) -> JsonResponse:
    headers = {"Cache-Control": "no-store"}
    if status == 503:
        headers["Retry-After"] = "1"
    response = JsonResponse(body, status=status, headers=headers)
    response._has_been_logged = True  # not being ready yet is no fault
    return response
