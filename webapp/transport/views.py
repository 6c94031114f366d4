"""The page of the laboratory, and its files."""

from __future__ import annotations

import base64
import threading
from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.http import content_disposition_header
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_http_methods, require_safe
from django.views.decorators.vary import vary_on_headers

from webapp.search.problems import FAULTS, explain, friendly
from webapp.streaming import Event, stream
from webapp.transport import film, page
from webapp.transport.examples import FIRST
from webapp.transport.state import LONGEST_ADDRESS, SIDES, LabState
from workers import inference
from workers.inference import BadInput


@csrf_exempt  # nothing is changed or kept, so there is nothing that a foreign form could do
@require_http_methods(["GET", "HEAD", "POST"])
@vary_on_headers("HX-Request")
@friendly
def laboratory(request: HttpRequest) -> HttpResponse:
    """The page; htmx gets its inside. What came by POST is given an address where one can hold it."""
    sent = request.POST or request.GET
    first = not sent and not request.FILES
    known = inference.transport_solvers()
    state, fault = LabState(), None
    try:
        state = LabState.read(QueryDict(FIRST.query[1:]) if first else sent, known)
        state = page.resolved(state, _uploads(request, known))
    except BadInput as error:
        fault = error
    shown = page.context(state, known, request.build_absolute_uri("/"), fault)
    shown["first"] = first
    address = request.path + state.query()
    short = len(address) < LONGEST_ADDRESS and not fault
    tidy = request.method == "GET" and (first or not _untidy(request))
    if not request.htmx and short and not tidy:
        return redirect(address)
    inside = request.htmx and not request.htmx.history_restore_request
    status = shown["problem"].status if shown["problem"] else 200
    response = render(
        request, "transport/_lab.html" if inside else "transport/transport.html", shown, status=status
    )
    if inside:
        response.headers["HX-Push-Url"] = address if short else "false"
    return response


@csrf_exempt
@require_http_methods(["GET", "POST"])
@friendly
def download(request: HttpRequest, kind: str) -> HttpResponse:
    """The plan, its links, or the problem as a file."""
    state = page.resolved(LabState.read(request.POST or request.GET, inference.transport_solvers()), {})
    name, content_type, content = inference.transport_file({**state.problem(), "against": None}, kind)
    headers = {"Content-Disposition": content_disposition_header(True, name) or "attachment"}
    return HttpResponse(content, content_type=content_type, headers=headers)


@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
@friendly
def sweep(request: HttpRequest) -> HttpResponse:
    """What ε does to this problem: a table, as a section or a page of its own."""
    state = page.resolved(LabState.read(request.POST or request.GET, inference.transport_solvers()), {})
    shown = {"sweep": inference.transport_sweep(page.clouds_and_cost(state)), "query": state.query()}
    return render(request, "transport/_sweep.html" if request.htmx else "transport/sweep.html", shown)


@require_GET
def watch(request: HttpRequest) -> HttpResponse:
    """The training of a map as server-sent events. It is bounded in time, and ends when the reader leaves."""
    if "Last-Event-ID" in request.headers:  # nothing is begun a second time by a browser that connects again
        return HttpResponse(status=204)
    left = threading.Event()
    try:
        state = page.resolved(LabState.read(request.GET, inference.transport_solvers()), {})
        events = film.events(film.problem_of(state, request.GET.dict()), left)
    except FAULTS as error:
        events = iter([Event("fault", {"text": explain(error).message})])
    return stream(request, events, left.set)


@require_safe
@friendly
def still_map(request: HttpRequest) -> HttpResponse:
    """Where such a training ends, for those without scripts."""
    state = page.resolved(LabState.read(request.GET, inference.transport_solvers()), {})
    answer = inference.transport_map(film.problem_of(state, request.GET.dict()))
    return render(request, "transport/map.html", {**film.still(answer), "query": state.query()})


def _uploads(request: HttpRequest, known: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The files of the form, each side's name and content in base64. Raises BadInput for one that is too large."""
    out = {}
    limit = known["limits"]["file_bytes"]
    for side in SIDES:
        file = request.FILES.get(f"{side}_file")
        if file is None:
            continue
        if file.size > limit:
            raise BadInput(
                f"The file has {file.size:,} bytes and the limit is {limit:,}.",
                f"{side}.file",
                "Send fewer points, or use the command line on your own machine: python -m mlcore transport plan.",
            )
        out[side] = {"name": file.name, "content": base64.b64encode(file.read()).decode("ascii")}
    return out


def _untidy(request: HttpRequest) -> bool:
    """True for a plain form's address: empty fields, names of files, points as typed text."""
    return any(value == "" or "\n" in value or name.endswith("_file") for name, value in request.GET.items())
