"""What a person reads on these pages when something cannot be done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from webapp.search.problems import FAULTS, Problem, explain
from workers.inference import BadInput, NotFound

WORDS = "That cannot be done"


def told(error: Exception) -> Problem:
    """The words for an error of the workers' floor."""
    problem = explain(error)
    if isinstance(error, BadInput):
        return replace(problem, title=WORDS)
    if isinstance(error, NotFound):
        return replace(
            problem, remedy=getattr(error, "remedy", None) or "It may have been deleted; see the list."
        )
    return problem


def friendly(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Turn the floor's errors into a page (for htmx, a section) that says what was wrong and what to do."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
        try:
            return view(request, *args, **options)
        except FAULTS as error:
            problem = told(error)
            template = "partials/problem.html" if request.htmx else "jobs/problem.html"
            return render(request, template, {"problem": problem}, status=problem.status)

    return wrapped
