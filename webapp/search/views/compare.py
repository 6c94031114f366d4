"""Why is this above that one."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from webapp.search import explanation
from webapp.search.problems import friendly
from webapp.search.shelves import readable


@require_safe
@friendly
def compare(request: HttpRequest) -> HttpResponse:
    """Two hits of one question side by side: ``?q=&library=&first=&second=``."""
    asked = {name: request.GET.get(name, "") for name in ("q", "library", "first", "second")}
    if not all(asked.values()):
        return render(request, "molecules/compare_ask.html", asked)
    readable(request.user, [asked["library"]])
    shown = explanation.comparison(asked["q"], asked["library"], asked["first"], asked["second"])
    return render(request, "molecules/compare.html", shown)
