"""The transport laboratory behind the door: JSON values in and out, ``mlcore`` imported inside the functions.

A problem is ``{"source", "target", "cost", "cost_parameters", "solver", "parameters", "against", "check", "links",
"matrix"}``, as the API takes it; a file among its clouds has its content in base64.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any

from workers.errors import BadInput, translated

if TYPE_CHECKING:
    from mlcore.transport.laboratory import LabRequest

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
    }
)


def _in_sentences(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Turn the errors of ``mlcore`` into those of this floor, each message a sentence."""

    @wraps(verb)
    def act(*args: Any, **options: Any) -> Any:
        try:
            with translated():
                return verb(*args, **options)
        except BadInput as error:
            text = error.message.rstrip(".")
            if text[:1].isascii():  # a sentence may begin with ε, but not with its capital
                text = f"{text[:1].upper()}{text[1:]}"
            raise BadInput(f"{text}.", error.field, error.remedy) from error

    return act


@_in_sentences
def do_transport_plan(problem: Problem) -> dict[str, Any]:
    """Solve a problem."""
    from mlcore.transport.laboratory import solve

    return solve(_request(problem))


@_in_sentences
def do_transport_estimate(problem: Problem) -> dict[str, Any]:
    """What solving it will need."""
    from mlcore.transport.laboratory import estimate

    return estimate(_request(problem))


@_in_sentences
def do_transport_solvers() -> dict[str, Any]:
    """What can be asked."""
    from mlcore.transport.laboratory import describe

    return describe()


@_in_sentences
def do_transport_points(spec: Mapping[str, Any], side: str) -> dict[str, Any]:
    """The points of one cloud: ``{"points", "weights"}``, weights None where all count alike."""
    from mlcore.transport.clouds import make_cloud

    cloud = make_cloud(_cloud(spec, side), side)
    return {"points": cloud.points.tolist(), "weights": cloud.weights.tolist() if cloud.weighted else None}


@_in_sentences
def do_transport_file(problem: Problem, format: str) -> tuple[str, str, bytes]:
    """Name, content type and content of the plan or the problem as a file."""
    from mlcore.transport.planfiles import file_of

    return file_of(_request(problem), format)


@_in_sentences
def do_transport_sweep(problem: Problem) -> dict[str, Any]:
    """The problem at several strengths of the entropy."""
    from mlcore.transport.sweeps import sweep

    return sweep(_request(problem))


def _request(problem: Problem) -> LabRequest:
    from mlcore.transport.laboratory import LabRequest

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
