"""Problem details (RFC 9457): the one shape of every error that the API answers with.

A problem says what was wrong (``detail``), where (``errors[].field``) and what to do about it
(``errors[].remedy``), and carries the ``request_id`` that also stands in the server's log.
"""

from __future__ import annotations

import logging
import math
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from django.core.exceptions import (
    BadRequest,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
    TooManyFieldsSent,
    TooManyFilesSent,
)
from django.http import Http404, HttpRequest, JsonResponse, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from django.utils.encoding import force_str
from rest_framework import exceptions
from rest_framework.response import Response

from workers.errors import BadInput, Busy, NotFound, TooMany

log = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:ferry:problem:"
BUSY_RETRY_SECONDS = 2

KINDS: dict[int, tuple[str, str]] = {
    400: ("bad-input", "The input cannot be used"),
    401: ("log-in-needed", "Log in first"),
    403: ("not-allowed", "Not allowed"),
    404: ("not-found", "Not found"),
    405: ("method-not-allowed", "This address does not take that method"),
    413: ("too-large", "The body is too large"),
    415: ("unsupported-media-type", "The body has a type that is not read here"),
    429: ("too-many-requests", "Too many requests"),
    500: ("server-fault", "The server failed"),
    503: ("busy", "The server is busy"),
}

Fields = Sequence[Mapping[str, Any]]


class TooLarge(exceptions.APIException):
    """The body is larger than this address accepts (413)."""

    status_code = 413
    default_code = "too-large"


class BadParameter(exceptions.APIException):
    """One input value cannot be used (400), with its field and, where there is one, the remedy."""

    status_code = 400
    default_code = "bad-input"

    def __init__(self, message: str, *, field: str | None = None, remedy: str | None = None) -> None:
        super().__init__(message)
        self.field = field
        self.remedy = remedy


def request_id(request: HttpRequest) -> str:
    """The id given to this request by the middleware; one is made where no middleware ran."""
    raw = getattr(request, "_request", request)
    found = getattr(raw, "request_id", None)
    if not found:
        found = uuid.uuid4().hex
        raw.request_id = found
    return str(found)


def document(request: HttpRequest, status: int, detail: str, errors: Fields = ()) -> dict[str, Any]:
    """The problem document for one failed request, as a JSON-able dictionary."""
    slug, title = KINDS.get(status) or ("error", HTTPStatus(status).phrase)
    return {
        "type": f"{TYPE_PREFIX}{slug}",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": request.path,
        "errors": [dict(error) for error in errors],
        "request_id": request_id(request),
    }


def respond(
    request: HttpRequest,
    status: int,
    detail: str,
    errors: Fields = (),
    headers: Mapping[str, str] | None = None,
) -> JsonResponse:
    """A problem as a plain Django response, for error handlers and middleware."""
    body = document(request, status, detail, errors)
    return JsonResponse(body, status=status, content_type=CONTENT_TYPE, headers=dict(headers or {}))


@dataclass(frozen=True)
class Explained:
    """What a problem document is made of."""

    status: int
    detail: str
    errors: Fields = ()
    headers: Mapping[str, str] = field(default_factory=dict)


def exception_handler(exc: Exception, context: Mapping[str, Any]) -> Response:
    """Turn whatever a view raised into problem details (the REST framework's ``EXCEPTION_HANDLER``)."""
    from rest_framework.views import (
        set_rollback,
    )  # the framework's views import this module through the settings

    set_rollback()
    request = context["request"]
    found = _of_door(exc) or _of_framework(exc) or _of_django(exc)
    if found is None:
        log.error("request %s to %s failed", request_id(request), request.path, exc_info=exc)
        found = Explained(
            500,
            "The server failed, and not because of your request. Quote the request_id when you report it.",
        )
    body = document(request, found.status, found.detail, found.errors)
    return Response(body, status=found.status, headers=dict(found.headers), content_type=CONTENT_TYPE)


def of_door(request: HttpRequest, error: Exception) -> dict[str, Any] | None:
    """The problem document for an error of the floor below, for answers that have begun; None for any other error."""
    found = _of_door(error)
    return None if found is None else document(request, found.status, found.detail, found.errors)


def _of_door(exc: Exception) -> Explained | None:
    """Errors of the floor below."""
    if isinstance(exc, BadInput):
        error = {"field": exc.field, "message": exc.message, "remedy": exc.remedy}
        return Explained(400, _sentence(exc.message, exc.remedy), [error])
    if isinstance(exc, NotFound):
        return Explained(404, str(exc) or "There is nothing at this address.")
    if isinstance(exc, Busy):
        detail = str(exc) or "All workers are busy. Try again in a moment."
        wait = str(math.ceil(exc.retry_after or BUSY_RETRY_SECONDS))
        return Explained(429 if isinstance(exc, TooMany) else 503, detail, headers={"Retry-After": wait})
    return None


def _of_framework(exc: Exception) -> Explained | None:
    """Errors of the REST framework, ours among them."""
    if isinstance(exc, BadParameter):
        message = str(exc.detail)
        error = {"field": exc.field, "message": message, "remedy": exc.remedy}
        return Explained(400, _sentence(message, exc.remedy), [error])
    if isinstance(exc, exceptions.ValidationError):
        errors = _flatten(exc.detail)
        return Explained(400, _summary(errors), errors)
    if not isinstance(exc, exceptions.APIException):
        return None
    headers = {}
    if getattr(exc, "auth_header", None):
        headers["WWW-Authenticate"] = exc.auth_header
    detail = force_str(exc.detail)
    if isinstance(exc, exceptions.Throttled):
        seconds = int(exc.wait or 1)
        headers["Retry-After"] = str(seconds)
        detail = f"More requests than the allowed rate. Try again in {seconds} s."
    elif isinstance(exc, exceptions.NotAuthenticated):
        detail = "This needs a log-in. Send 'Authorization: Bearer TOKEN'; make a token at /accounts/tokens/."
    elif isinstance(exc, exceptions.UnsupportedMediaType):
        detail = f"{detail} The documentation at /api/docs/ says which types this address reads."
    return Explained(exc.status_code, detail, headers=headers)


DJANGO_ERRORS: tuple[tuple[tuple[type[Exception], ...], int, str], ...] = (
    ((Http404,), 404, "There is nothing at this address."),
    ((PermissionDenied,), 403, "Your account may not do this."),
    ((RequestDataTooBig,), 413, "The body is larger than the server accepts. Send less at once."),
    (
        (TooManyFieldsSent, TooManyFilesSent),
        400,
        "The form has too many fields or files. Send fewer at once.",
    ),
    (
        (SuspiciousOperation, BadRequest, MultiPartParserError),
        400,
        "The request is malformed and was not read. Check how it is put together.",
    ),
    ((UnreadablePostError,), 400, "The body broke off before its end. Send it again."),
)


def _of_django(exc: Exception) -> Explained | None:
    """Errors of Django; the first matching row counts."""
    for kinds, status, detail in DJANGO_ERRORS:
        if isinstance(exc, kinds):
            told = str(exc) if status == 403 else ""
            return Explained(status, told or detail)
    return None


def _flatten(detail: Any, field: str | None = None) -> list[dict[str, Any]]:
    """Nested validation messages as a flat list, each with the dotted path of its field."""
    if isinstance(detail, Mapping):
        out: list[dict[str, Any]] = []
        for key, value in detail.items():
            inner = field if key == "non_field_errors" else f"{field}.{key}" if field else str(key)
            out.extend(_flatten(value, inner))
        return out
    if isinstance(detail, (list, tuple)):
        return [error for value in detail for error in _flatten(value, field)]
    return [{"field": field, "message": force_str(detail), "remedy": None}]


def _summary(errors: Fields) -> str:
    """All field messages in one line, for readers that look at ``detail`` only."""
    lines = [
        f"{error['field']}: {error['message']}" if error["field"] else error["message"] for error in errors
    ]
    if len(lines) > 5:
        lines = [*lines[:5], f"and {len(errors) - 5} more"]
    return " ".join(lines) or "The input cannot be used."


def _sentence(message: str, remedy: str | None) -> str:
    return f"{message} {remedy}" if remedy else message
