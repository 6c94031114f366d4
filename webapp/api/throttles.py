"""How many requests one caller may make: counted per account, or per network address without a log-in.

A fixed window in Django's cache costs two cache operations a request, whatever the rate. Rates are read from
the settings (``FERRY_RATES``), each as ``number/second|minute|hour|day``, or ``off``.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

if TYPE_CHECKING:
    from rest_framework.views import APIView

PERIODS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}


def parse_rate(rate: str) -> tuple[int, int] | None:
    """``"1200/minute"`` → (1200, 60); ``"off"`` → None.

    Raises ImproperlyConfigured for anything else, naming the value and the form it should have.
    """
    if rate.strip().lower() == "off":
        return None
    number, _, period = rate.strip().partition("/")
    if not number.isdigit() or int(number) < 1 or period not in PERIODS:
        raise ImproperlyConfigured(
            f"The rate {rate!r} is not understood. "
            f"Write number/period with a period of {', '.join(PERIODS)}, or off."
        )
    return int(number), PERIODS[period]


class RateThrottle(BaseThrottle):
    """Reads count under ``anonymous`` or ``member``; what changes something counts under ``write`` as well.

    Views that read by POST (look-up, depiction, export) set ``reads_only = True``.
    """

    retry_after: float | None = None

    def allow_request(self, request: Request, view: APIView) -> bool:
        """Count this request; False when the caller's window is full."""
        user = request.user
        known = bool(user and user.is_authenticated)
        who = f"user-{user.pk}" if known else f"address-{self.get_ident(request)}"
        scopes = ["member" if known else "anonymous"]
        if request.method not in SAFE_METHODS and not getattr(view, "reads_only", False):
            scopes.append("write")
        return all(self._count(scope, who) for scope in scopes)

    def wait(self) -> float | None:
        """Seconds until the window that is full ends."""
        return self.retry_after

    def _count(self, scope: str, who: str) -> bool:
        limit = parse_rate(settings.FERRY_RATES[scope])
        if limit is None:
            return True
        number, period = limit
        now = time.time()
        window = int(now // period)
        key = f"api-rate:{scope}:{who}:{window}"
        cache.add(key, 0, timeout=period + 1)
        try:
            used = cache.incr(key)
        except ValueError:  # dropped by the cache between the two calls
            return True
        if used <= number:
            return True
        self.retry_after = max(1.0, (window + 1) * period - now)
        return False
