"""Who may open a page: nobody, unless it says so."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

View = Callable[..., HttpResponse]


def needs(*rights: str) -> Callable[[View], View]:
    """Only for accounts with all ``rights``: others get 403, who is not logged in is asked to."""

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapped(request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path())
            if not request.user.has_perms(rights):
                raise PermissionDenied("Your role does not include this.")
            return view(request, *args, **options)

        return wrapped

    return decorate
