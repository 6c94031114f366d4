"""The decoding methods behind the door: JSON values in and out, ``mlcore`` imported inside the functions.

A request is ``{"task", "prompt", "lanes", "sampling", "reward", "seed", "alternatives", "repeats"}``; what each may be
says ``decoding_describe``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from workers import films
from workers.errors import BadInput, Busy, translated
from workers.language_models import shared

if TYPE_CHECKING:
    from mlcore.decoding.serving.models import Models
    from mlcore.decoding.serving.requests import Request

Given = Mapping[str, Any]
#: the verbs of the door that are answered here; none needs the retrieval model, unless a reward asks for it
VERBS = frozenset(
    {
        "decoding_models",
        "decoding_describe",
        "decoding_estimate",
        "decoding_watch",
        "decoding_generate",
        "decoding_frontier",
    }
)
#: decodings of a process at the same time; with more of them each would only be slower, and no time would be honest
DECODINGS = 2
RETRY_SECONDS = 5.0
#: seconds that a request may be expected to take, and those after which nobody waits for a worker any more
MOST_SECONDS, LONGEST = 120.0, 600.0
_turns = threading.BoundedSemaphore(DECODINGS)


def do_decoding_models() -> dict[str, Any]:
    """The models in use by slot, from their cards, and under ``faults`` why one is not. Raises NotFound without any."""
    return shared().facts()


def do_decoding_describe() -> dict[str, Any]:
    """What can be asked; no model is loaded for it."""
    from mlcore.decoding.serving.description import describe

    return describe()


def do_decoding_estimate(request: Given) -> dict[str, Any]:
    """What a request will need."""
    from mlcore.decoding.serving.estimates import estimate

    with translated():
        return estimate(_read(request), _models())


def do_decoding_generate(request: Given) -> dict[str, Any]:
    """A request carried out whole: ``{"opened", "lanes", "closed"}``."""
    from mlcore.decoding.serving.session import outcome

    with _carried_out(request) as (asked, models):
        return outcome(asked, models)


def do_decoding_frontier(request: Given) -> dict[str, Any]:
    """Reward against distance for several α and for best-of-N, on the prompt of the request."""
    from mlcore.decoding.serving.frontier import FACTORS, frontier

    with _carried_out(request, len(FACTORS)) as (asked, models):
        return frontier(asked, models)


def do_decoding_watch(
    request: Given, stopping: Callable[[], bool] = lambda: False, stream: str = ""
) -> Iterator[dict[str, Any]] | None:
    """The events of a request; it ends within a token when ``stopping`` says so or the iterator is dropped.

    Raises BadInput, NotFound or Busy when the first event is asked for. With a ``stream`` the events are published
    there and nothing is returned.
    """
    if not stream:
        return _events(request, stopping)
    films.published(stream, lambda asked_to_stop: _events(request, asked_to_stop))
    return None


def _events(request: Given, stopping: Callable[[], bool]) -> Iterator[dict[str, Any]]:
    from mlcore.decoding.serving.session import run

    with _carried_out(request) as (asked, models):
        yield from run(asked, models, stopping)


@contextmanager
def _carried_out(request: Given, times: int = 1) -> Iterator[tuple[Request, Models]]:
    """A checked request and its models while there is a turn for it. Raises Busy where all turns are taken."""
    with translated():
        asked = _read(request)
        if not _turns.acquire(blocking=False):
            raise Busy(
                f"{DECODINGS} answers are being written already. Try again in a moment.", RETRY_SECONDS
            )
        try:
            models = _models()
            _check_time(asked, models, times)
            yield asked, models
        finally:
            _turns.release()


def _read(request: Given) -> Request:
    from mlcore.decoding.serving.requests import Request

    return Request.read({name: value for name, value in request.items() if value is not None})


def _models() -> Models:
    return shared().models()


def _check_time(request: Request, models: Models, times: int) -> None:
    """Refuse what looks ahead for minutes; without looking ahead, an answer cannot take that long."""
    from mlcore.decoding.serving.estimates import estimate

    if times == 1 and not any("reward" in lane.method.needs for lane in request.lanes):
        return
    seconds = estimate(request, models)["seconds"] * times
    if seconds > MOST_SECONDS:
        raise BadInput(
            f"This would take about {seconds:,.0f} s, and {MOST_SECONDS:.0f} s are allowed here.",
            "lanes",
            "Take fewer candidates or rollouts, a horizon, blocks or a shorter answer; or use your own machine: "
            "python -m mlcore generate.",
        )
