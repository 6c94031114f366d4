"""What people see when something went wrong: what it was, what to do, and the id under which the log knows it."""

from __future__ import annotations

import logging

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import Http404, HttpRequest, HttpResponse
from django.template import TemplateDoesNotExist
from django.template.loader import render_to_string
from django.utils.html import escape

log = logging.getLogger(__name__)

TITLES = {
    400: "This request could not be read",
    403: "You may not do this",
    404: "There is nothing at this address",
    413: "The upload is too large",
    429: "Too many attempts",
    500: "Something went wrong here",
    503: "The server is busy",
}
BACK = {"/": "Back to the search", "/libraries/": "Back to the libraries"}


def page(request: HttpRequest, status: int, detail: str, remedy: str = "") -> HttpResponse:
    """An error as a page, or as problem details under ``/api/``. Never raises: the plainest form needs no template."""
    if request.path.startswith("/api/"):
        from webapp.api.problems import respond

        return respond(request, status, f"{detail} {remedy}".strip())
    facts = facts_of(status, detail, remedy, getattr(request, "request_id", "-"))
    return HttpResponse(drawn(facts, request if status < 500 else None), status=status)


def facts_of(status: int, detail: str, remedy: str, request_id: str, back: str = "/") -> dict[str, object]:
    """What an error page says; ``back`` is where its button leads."""
    return {
        "status": status,
        "title": TITLES.get(status, "Error"),
        "detail": detail,
        "remedy": remedy,
        "request_id": request_id,
        "back": back,
        "back_label": BACK.get(back, "Back"),
    }


def drawn(facts: dict[str, object], request: HttpRequest | None = None) -> str:
    """The page in the site's look; without ``request`` it names nobody."""
    try:
        return render_to_string("errors/error.html", facts, request=request)
    except TemplateDoesNotExist:
        return plain(facts)
    except Exception:  # an error page must not fail, whatever its template asks for
        log.exception("the error page could not be drawn")
        return plain(facts)


def plain(facts: dict[str, object]) -> str:
    """The same without any template."""
    words = {name: escape(str(value)) for name, value in facts.items()}
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{words["title"]} - Ferry</title>'
        f"<h1>{words['title']}</h1><p>{words['detail']}</p><p>{words['remedy']}</p>"
        f'<p>Request {words["request_id"]}</p><p><a href="{words["back"]}">{words["back_label"]}</a></p></html>'
    )


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400, and where the host name is the reason, the setting that is missing."""
    if isinstance(exception, DisallowedHost):
        host = request.META.get("HTTP_HOST", "")[:100]
        return page(
            request,
            400,
            f"This server does not answer to the name “{host}”.",
            f"If you run it: set FERRY_URL to the address that people type, such as FERRY_URL=http://{host}, "
            "and start it again.",
        )
    return page(request, 400, "The request is malformed and was not read.", "Go back and try once more.")


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403."""
    remedy = (
        "Log in first."
        if not request.user.is_authenticated
        else "Ask an administrator for the right to do it."
    )
    return page(request, 403, str(exception) or "Your account does not have the right to do this.", remedy)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404, with the view's own sentence where it gave one."""
    told = exception.args[0] if isinstance(exception, Http404) and exception.args else ""
    own = isinstance(told, str) and told and "matches the given query" not in told
    detail = told if own else "The address may be mistyped, or what was here is gone."
    return page(request, 404, detail, "Start from the search page.")


def server_error(request: HttpRequest) -> HttpResponse:
    """500, without a trace."""
    return page(
        request,
        500,
        "The fault is the server's, not yours. It has been logged.",
        "Try again; if it happens once more, tell whoever runs this server the request id below.",
    )


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403 of a form whose origin or cookie did not fit, with the value an operator has to set."""
    origin = request.META.get("HTTP_ORIGIN", "")[:200]
    if origin and origin not in settings.CSRF_TRUSTED_ORIGINS and "Origin" in reason:
        remedy = f"If you run this server: set FERRY_URL={origin} and start it again."
    else:
        remedy = "Go back, reload the page and send the form again; cookies must be allowed for this site."
    return page(
        request, 403, "The form could not be trusted: it did not come from a page of this server.", remedy
    )
