"""A map that learns, as pictures: the lattice and the carried points as paths over the board of both clouds."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.template.loader import render_to_string

from webapp.search.problems import FAULTS, explain
from webapp.streaming import Event
from webapp.transport import page, picture
from webapp.transport.state import LabState
from webapp.transport.templatetags.lab import significant
from workers import inference

PREFIX = "map_"
VALUES = ("strength", "seconds", "seed")
FAR = 1e5  # pixels; what a map throws further away is drawn there


def problem_of(state: LabState, given: Mapping[str, str]) -> dict[str, Any]:
    """The question for the door: both clouds, the cost, and the values of the map among ``given``."""
    values = {name: given.get(PREFIX + name, "").strip()[:60] for name in VALUES}
    return {
        **page.clouds_and_cost(state),
        "parameters": {name: value for name, value in values.items() if value},
    }


def events(problem: Mapping[str, Any], left: threading.Event) -> Iterator[Event]:
    """``opening`` with the picture as HTML, a ``frame`` for each look at the map, or a ``fault`` in words."""
    try:
        frames = inference.transport_watch(problem, left.is_set)
        opening = next(frames)
        board = _board(opening)
        html = render_to_string("transport/_film.html", {"board": board, "opening": opening})
        yield Event("opening", {"html": html})
        first: Mapping[str, Any] | None = None
        for event in frames:
            first = first or event
            yield Event("frame", frame(board, event, first))
    except FAULTS as error:
        fault = explain(error)
        yield Event("fault", {"text": f"{fault.message} {fault.remedy}".strip()})


def still(answer: Mapping[str, Any]) -> dict[str, Any]:
    """The picture of a map at the end of its training."""
    board = _board(answer)
    start = {**answer["map"], **answer["held_out"]["identity"], "step": 0}
    return {"board": board, "opening": answer, "frame": frame(board, answer["map"], start)}


def frame(board: picture.Board, event: Mapping[str, Any], first: Mapping[str, Any]) -> dict[str, Any]:
    """What changes: two paths and the figures, as text."""
    lattice = event["lattice"]
    lines = [*lattice, *zip(*lattice, strict=True)]
    return {
        "lattice": "".join(_line(board.view, line) for line in lines),
        "images": "".join(
            f"M{x:.1f} {y:.1f}h0" for x, y in (_place(board.view, point) for point in event["images"])
        ),
        "step": f"{event['step']:,} of {event['steps']:,} steps, {event['seconds']:.1f} s",
        "share": event["step"] / max(event["steps"], 1),
        "divergence": significant(event["divergence"], 3),
        "gap": significant(event["gap"], 3),
        "divergence_first": significant(first["divergence"], 3),
        "gap_first": significant(first["gap"], 3),
        "last": event["last"],
    }


def _board(opening: Mapping[str, Any]) -> picture.Board:
    clouds = [
        {
            **opening["problem"][side],
            "weights": [1 / len(opening["problem"][side]["points"])] * picture.MOST_POINTS,
        }
        for side in ("source", "target")
    ]
    return picture.board(*clouds)


def _line(view: picture.View, points: Sequence[Sequence[float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in (_place(view, point) for point in points))


def _place(view: picture.View, point: Sequence[float]) -> tuple[float, float]:
    x, y = view.place(point)
    return min(max(x, -FAR), FAR), min(max(y, -FAR), FAR)
