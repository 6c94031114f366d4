"""The brake on guessing passwords (django-axes): after some wrong ones a name is closed to that address for a while."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from rest_framework.throttling import BaseThrottle

from webapp import errors


def address(request: HttpRequest) -> str:
    """Where a request comes from, by the same rule as the API's limits (``FERRY_PROXIES``)."""
    return BaseThrottle().get_ident(request)  # type: ignore[arg-type]


def refused(request: HttpRequest, *_: object, **__: object) -> HttpResponse:
    """The answer while a name is closed: 429 with when to come back, whatever the password."""
    seconds = int(settings.AXES_COOLOFF_TIME.total_seconds())
    answer = errors.page(
        request,
        429,
        f"There were {settings.AXES_FAILURE_LIMIT} wrong passwords for this name from your address.",
        f"Wait {seconds // 60} minutes, then try again. An administrator can lift it at once: "
        "python manage.py axes_reset.",
    )
    answer["Retry-After"] = str(seconds)
    return answer
