"""A list of names, structures or keys at once."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_http_methods, require_POST

from webapp.search import lists
from webapp.search.problems import explain, friendly
from workers import inference


@require_http_methods(["GET", "HEAD", "POST"])
@friendly
def lookup(request: HttpRequest) -> HttpResponse:
    """The form; posted, the table of found, ambiguous and not found. A faulty list keeps its text."""
    text, shown, status = request.POST.get("items", ""), {}, 200
    if request.method == "POST":
        try:
            shown = lists.look_up(text, request.user)
        except inference.BadInput as error:
            shown, status = {"problem": explain(error)}, 422
    return render(request, "search/lookup.html", {"text": text, **shown}, status=status)


@require_POST
@friendly
def export(request: HttpRequest) -> HttpResponse:
    """The same table as CSV, one line an entry, nothing left out."""
    content = lists.table(request.POST.get("items", ""), request.user)
    headers = {"Content-Disposition": content_disposition_header(True, "ferry-lookup.csv") or "attachment"}
    return HttpResponse(content, content_type="text/csv; charset=utf-8", headers=headers)
