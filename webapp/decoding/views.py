"""The decoding page, its stream, and the plot of reward against distance."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers

from webapp.decoding import form, frontier, live, presets, wording
from webapp.decoding.examples import EXAMPLES
from webapp.decoding.known import Known
from webapp.decoding.problems import explained
from webapp.decoding.run import Run
from webapp.decoding.state import DecodingState, moved
from webapp.search.problems import FAULTS, Problem, refuse
from webapp.streaming import stream
from workers import inference

RUN = "run"


@csrf_exempt  # nothing is changed or kept, so there is nothing that a foreign form could do
@require_http_methods(["GET", "HEAD", "POST"])
@vary_on_headers("HX-Request")
def page(request: HttpRequest) -> HttpResponse:
    """The page; htmx gets its form, after a change of what it has to ask. A form that is sent gets its answer."""
    sent = request.POST or request.GET
    try:
        known = Known.ask()
    except FAULTS as error:
        problem = explained(error)
        return render(request, "decoding/decoding.html", {"problem": problem}, status=problem.status)
    state = DecodingState.read(sent, known)
    act = request.POST.get("act", "")
    preset = presets.named(act.removeprefix("preset:")) or (None if state.lanes else presets.FIRST)
    if preset is not None:
        state = preset.set(state)
    if request.htmx:
        return render(request, "decoding/_form.html", _context(replace(state, run=False), known))
    run, problem = _finished(request, state, known) if act == RUN else (None, None)
    shown = _context(state, known, problem)
    if run is not None:
        shown |= run.context
    shown |= {"examples": EXAMPLES, "moved": _moved(state), "unpinned": state.unpinned().query()}
    return render(request, "decoding/decoding.html", shown, status=problem.status if problem else 200)


@csrf_exempt
@require_POST
def stream_run(request: HttpRequest) -> HttpResponse:
    """A run as server-sent events. It ends within a token when the reader leaves."""
    left = threading.Event()
    try:
        known = Known.ask()
        state = DecodingState.read(request.POST, known)
        run = Run(state, known, request.build_absolute_uri("/"))
    except FAULTS as error:
        return refuse(request, explained(error))
    return stream(request, live.events(run, left), left.set)


@csrf_exempt
@require_POST
def reward_frontier(request: HttpRequest) -> HttpResponse:
    """How much reward each method buys at which distance: a section, or a page of its own."""
    try:
        known = Known.ask()
        state = DecodingState.read(request.POST, known)
        shown = frontier.shown(inference.decoding_frontier(state.request(known)))
    except FAULTS as error:
        return refuse(request, explained(error))
    shown |= {"query": state.query(), "state": state}
    return render(request, "decoding/_frontier.html" if request.htmx else "decoding/frontier.html", shown)


def _finished(request: HttpRequest, state: DecodingState, known: Known) -> tuple[Run | None, Problem | None]:
    """The whole run at once, or why there is none."""
    run = Run(state, known, request.build_absolute_uri("/"), titled=True)
    try:
        for event in inference.decoding_watch(run.request):
            run.take(event)
    except FAULTS as error:
        return None, explained(error)
    return run, None


def _context(state: DecodingState, known: Known, problem: Problem | None = None) -> dict[str, Any]:
    return {
        "state": state,
        "known": known,
        "problem": problem,
        "form": form.fields(state, known, problem.field if problem else ""),
        "absent": [method for method in known.methods if method.missing],
    }


def _moved(state: DecodingState) -> list[str]:
    """Which models of a permalink have been replaced since, in words."""
    if not state.models:
        return []
    try:
        today = inference.decoding_models()
    except FAULTS:
        return []
    return [wording.MODELS[name].lower() for name in moved(state.models, today)]
