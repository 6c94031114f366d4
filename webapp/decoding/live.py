"""A run as server-sent events: ``opened``, ``drafted``, ``token``, ``done``, ``closed`` with HTML, or a ``fault``."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from django.template.loader import render_to_string

from webapp.decoding.form import field_name
from webapp.decoding.problems import explained
from webapp.decoding.run import Run
from webapp.search.problems import FAULTS
from webapp.streaming import Event
from workers import inference


def events(run: Run, left: threading.Event) -> Iterator[Event]:
    """What the page is told, until the last lane is done or ``left`` is set: then the door stops at the next token."""
    try:
        for event in inference.decoding_watch(run.request, left.is_set):
            told = run.take(event)
            if told is not None:
                yield told
    except FAULTS as error:
        problem = explained(error)
        html = render_to_string("partials/problem.html", {"problem": problem})
        yield Event("fault", {"html": html, "field": field_name(problem.field)})
