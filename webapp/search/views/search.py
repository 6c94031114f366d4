"""The search page, suggestions while typing, and the drawing of any structure."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe
from django.views.decorators.vary import vary_on_headers

from webapp.search import drawings, problems, results
from webapp.search.shelves import readable
from webapp.search.state import SearchState
from workers import inference

LONGEST_ADDRESS = 6_000
DRAWING_HEADERS = {
    "Cache-Control": "public, max-age=86400",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
}


@require_http_methods(["GET", "HEAD", "POST"])
@vary_on_headers("HX-Request")
def search(request: HttpRequest) -> HttpResponse:
    """The page; htmx gets its inside. A text that came by POST is given an address where one can hold it."""
    state, form = SearchState.read(request.POST or request.GET)
    if _untidy(request) and form.is_valid():
        return redirect(request.path + state.query())
    shown = results.context(state, form, request.user, request.build_absolute_uri(reverse("search:search")))
    address = request.path + _addressable(state, shown).query()
    if (
        request.method == "POST"
        and not request.htmx
        and not shown["problem"]
        and len(address) < LONGEST_ADDRESS
    ):
        return redirect(address)
    inside = request.htmx and not request.htmx.history_restore_request
    template = "search/_page.html" if inside else "search/search.html"
    response = render(request, template, shown, status=shown["problem"].status if shown["problem"] else 200)
    if inside:
        response.headers["HX-Push-Url"] = address if len(address) < LONGEST_ADDRESS else "false"
    return response


@require_safe
@problems.friendly
def suggest(request: HttpRequest) -> JsonResponse:
    """Names that begin with what has been typed, as JSON."""
    typed = request.GET.get("q", "").strip()[:200]
    if len(typed) < 2:
        return JsonResponse({"suggestions": []})
    return JsonResponse(inference.suggest(typed, libraries=readable(request.user), k=8))


@require_safe
def drawing(request: HttpRequest) -> HttpResponse:
    """Any structure as SVG: ``?s=SMILES&theme=light|dark&width=&height=&atoms=0,1``."""
    try:
        content, kind = drawings.file(request.GET.get("s", ""), "svg", drawings.read_options(request.GET))
    except problems.FAULTS as error:
        problem = problems.explain(error)
        return HttpResponse(problem.message, content_type="text/plain; charset=utf-8", status=problem.status)
    return HttpResponse(content, content_type=kind, headers=DRAWING_HEADERS)


def _untidy(request: HttpRequest) -> bool:
    """True for a plain form's address, full of empty fields: its tidy form is the one to keep and share."""
    return (
        request.method == "GET" and not request.htmx and any(value == "" for _, value in request.GET.items())
    )


def _addressable(state: SearchState, shown: dict) -> SearchState:
    """The state for the address bar: a pasted molfile stands there as its canonical SMILES."""
    answer = shown.get("answer")
    if answer and answer["query"]["kind"] == "molfile" and answer["query"].get("canonical"):
        return state.changed(q=answer["query"]["canonical"], read_as="auto", offset=state.offset)
    return state
