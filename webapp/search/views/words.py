"""How it works, in words."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from webapp.search.explanation import PARTS
from webapp.search.quantities import QUANTITIES
from webapp.search.shelves import shelf


@require_safe
def help_page(request: HttpRequest) -> HttpResponse:
    """What the box reads, what the scores mean, what is stored, whose data it rests on."""
    shown = {"parts": PARTS.values(), "quantities": QUANTITIES, "shelf": shelf(request.user)}
    return render(request, "search/help.html", shown)
