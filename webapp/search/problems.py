"""What a person reads when there is no answer: fault, place, remedy; never a traceback, never a blank."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from workers import inference
from workers.errors import TooMany

FAULTS = (inference.BadInput, inference.NotFound, inference.Busy)


@dataclass(frozen=True)
class Problem:
    """A fault in words, with the HTTP status that goes with it."""

    title: str
    message: str
    remedy: str = ""
    field: str = ""
    status: int = 422


def explain(error: Exception) -> Problem:
    """The words for an error of the inference door."""
    message = str(getattr(error, "message", "") or error)
    field = str(getattr(error, "field", "") or "")
    remedy = str(getattr(error, "remedy", "") or "")
    if isinstance(error, inference.NotFound):
        return Problem("That is not here", message, remedy or "Search for it, or check the link.", field, 404)
    if isinstance(error, TooMany):
        return Problem("That is as many as one may have", message, remedy, field, 429)
    if isinstance(error, inference.Busy):
        return Problem(
            "The server is busy", message, remedy or "Wait a few seconds and try again.", field, 503
        )
    return Problem("That cannot be searched", message, remedy, field)


def of_form(form: Form) -> Problem | None:
    """The first fault of a form as a problem; None when all fields could be read."""
    for name, errors in form.errors.items():
        return Problem(
            "One field cannot be read", str(errors[0]), "Change it or empty it, then search again.", name
        )
    return None


def friendly(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Turn the door's errors into a page (for htmx, a section) that says what was wrong and what to do."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
        try:
            return view(request, *args, **options)
        except FAULTS as error:
            return refuse(request, explain(error))

    return wrapped


def refuse(request: HttpRequest, problem: Problem) -> HttpResponse:
    """A problem as a whole page, or as a section where htmx asked."""
    template = "partials/problem.html" if request.htmx else "errors/problem.html"
    return render(request, template, {"problem": problem}, status=problem.status)
