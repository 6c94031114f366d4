"""The basket and the files one takes away."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_http_methods, require_POST

from webapp.search import baskets, exporting
from webapp.search.problems import friendly
from webapp.search.vocabulary import EXPORT_FORMATS


@require_http_methods(["GET", "HEAD", "POST"])
@friendly
def basket(request: HttpRequest) -> HttpResponse:
    """The molecules named by ``pick`` fields; the browser that keeps a basket sends them by POST."""
    sent = request.POST or request.GET
    shown = baskets.contents(sent.getlist("pick"), request.user)
    shown |= {"q": sent.get("q", ""), "formats": EXPORT_FORMATS}
    return render(request, "search/_basket.html" if request.htmx else "search/basket.html", shown)


@require_POST
@friendly
def export(request: HttpRequest) -> HttpResponse:
    """A file of what is selected, shown or found; where something cannot be in it, a page says so first."""
    name, kind, content, notes = exporting.file(request.POST, request.user)
    if notes and "incomplete" not in request.POST:
        shown = {"notes": notes, "name": name, "fields": exporting.fields(request.POST)}
        return render(request, "search/incomplete.html", shown)
    headers = {"Content-Disposition": content_disposition_header(True, name) or "attachment"}
    return HttpResponse(content, content_type=kind, headers=headers)
