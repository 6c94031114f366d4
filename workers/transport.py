"""The transport laboratory behind the door: JSON values in and out, ``mlcore`` imported inside the functions.

A problem is ``{"source", "target", "cost", "cost_parameters", "solver", "parameters", "against", "check", "links",
"matrix"}``, as the API takes it; a file among its clouds has its content in base64.
"""

from __future__ import annotations

import base64
import binascii
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any

from workers import films
from workers.errors import BadInput, Busy, translated

if TYPE_CHECKING:
    from mlcore.transport.laboratory.films import MapRequest
    from mlcore.transport.laboratory.solving import LabRequest

Problem = Mapping[str, Any]
#: the verbs of the door that are answered here; none needs a model
VERBS = frozenset(
    {
        "transport_plan",
        "transport_estimate",
        "transport_solvers",
        "transport_points",
        "transport_file",
        "transport_sweep",
        "transport_map",
        "transport_map_estimate",
        "transport_watch",
    }
)
#: maps that a process trains at the same time, for seconds each; they do not use up the turns of short answers
MAPS = 2
_maps = threading.BoundedSemaphore(MAPS)


def _in_sentences(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Turn the errors of ``mlcore`` into those of this floor, each message a sentence."""

    @wraps(verb)
    def act(*args: Any, **options: Any) -> Any:
        with _sentences():
            return verb(*args, **options)

    return act


@contextmanager
def _sentences() -> Iterator[None]:
    try:
        with translated():
            yield
    except BadInput as error:
        text = error.message.rstrip(".")
        if text[:1].isascii():  # a sentence may begin with ε, but not with its capital
            text = f"{text[:1].upper()}{text[1:]}"
        raise BadInput(f"{text}.", error.field, error.remedy) from error


@_in_sentences
def do_transport_plan(problem: Problem) -> dict[str, Any]:
    """Solve a problem."""
    from mlcore.transport.laboratory.solving import solve

    return solve(_request(problem))


@_in_sentences
def do_transport_estimate(problem: Problem) -> dict[str, Any]:
    """What solving it will need."""
    from mlcore.transport.laboratory.solving import estimate

    return estimate(_request(problem))


@_in_sentences
def do_transport_solvers() -> dict[str, Any]:
    """What can be asked."""
    from mlcore.transport.laboratory.solving import describe

    return describe()


@_in_sentences
def do_transport_points(spec: Mapping[str, Any], side: str) -> dict[str, Any]:
    """The points of one cloud: ``{"points", "weights"}``, weights None where all count alike."""
    from mlcore.transport.laboratory.clouds import make_cloud

    cloud = make_cloud(_cloud(spec, side), side)
    return {"points": cloud.points.tolist(), "weights": cloud.weights.tolist() if cloud.weighted else None}


@_in_sentences
def do_transport_file(problem: Problem, format: str) -> tuple[str, str, bytes]:
    """Name, content type and content of the plan or the problem as a file."""
    from mlcore.transport.laboratory.planfiles import file_of

    return file_of(_request(problem), format)


@_in_sentences
def do_transport_sweep(problem: Problem) -> dict[str, Any]:
    """The problem at several strengths of the entropy."""
    from mlcore.transport.laboratory.sweeps import sweep

    return sweep(_request(problem))


@_in_sentences
def do_transport_map(problem: Problem) -> dict[str, Any]:
    """Train a map of the plane to its end. Raises Busy where as many as may be are trained already."""
    from mlcore.transport.laboratory.films import learn

    with _training():
        return learn(_map_request(problem))


@_in_sentences
def do_transport_map_estimate(problem: Problem) -> dict[str, Any]:
    """What training it will need."""
    from mlcore.transport.laboratory.films import estimate_map

    return estimate_map(_map_request(problem))


def do_transport_watch(
    problem: Problem, stopping: Callable[[], bool] = lambda: False, stream: str = ""
) -> Iterator[dict[str, Any]] | None:
    """The training as events, the opening first; it ends early when ``stopping`` says so or the iterator is dropped.

    Raises BadInput or Busy when the opening is asked for. With a ``stream`` the events are published there and nothing
    is returned; an event in ``STREAM:stop`` ends it.
    """
    if not stream:
        return _film(problem, stopping)
    films.published(stream, lambda asked_to_stop: _film(problem, asked_to_stop))
    return None


def _film(problem: Problem, stopping: Callable[[], bool]) -> Iterator[dict[str, Any]]:
    from mlcore.transport.laboratory.films import film

    with _sentences(), _training():
        yield from film(_map_request(problem), stopping)


@contextmanager
def _training() -> Iterator[None]:
    if not _maps.acquire(blocking=False):
        raise Busy(f"{MAPS} maps are being trained already; each takes some seconds.")
    try:
        yield
    finally:
        _maps.release()


def _map_request(problem: Problem) -> MapRequest:
    from mlcore.transport.laboratory.films import MapRequest

    values = {name: value for name, value in problem.items() if value is not None}
    for side in ("source", "target"):
        values[side] = _cloud(values.get(side) or {}, side)
    return MapRequest(**values)


def _request(problem: Problem) -> LabRequest:
    from mlcore.transport.laboratory.solving import LabRequest

    values = {name: value for name, value in problem.items() if value is not None}
    for side in ("source", "target"):
        values[side] = _cloud(values.get(side) or {}, side)
    return LabRequest(**values)


def _cloud(spec: Mapping[str, Any], side: str) -> dict[str, Any]:
    """A cloud with the text of its lines, or the bytes of its file, made into what ``mlcore`` reads."""
    from mlcore.runtime.errors import InputError
    from mlcore.transport.pointfiles import read_text

    out = dict(spec)
    if out.get("file") is not None:
        try:
            content = base64.b64decode(out["file"]["content"], validate=True)
        except (binascii.Error, ValueError) as error:
            raise BadInput(
                "The content of the file is not base64.", f"{side}.file", "Encode its bytes in base64."
            ) from error
        out["file"] = {"name": out["file"]["name"], "content": content}
    if out.get("text") is not None:
        try:
            points, weights = read_text(out.pop("text"))
        except InputError as error:
            field = f"{side}.{error.field}" if error.field else side
            raise InputError(error.message, field=field, place=error.place, remedy=error.remedy) from None
        out |= {"points": points, "weights": weights}
    return out
