"""The inference door: what the floors above may ask of the science. JSON-able values in and out.

A verb raises BadInput (what was given cannot be used), NotFound, or Busy (not now), and nothing else a user can cause.
``libraries`` are ids that the caller has checked against the person asking; None means those that everybody may read.
With ``FERRY_INFERENCE=queue`` an inference worker answers instead of this process; nothing else changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from django.conf import settings

from workers import calls, decoding, engine, films, language_models, remote
from workers.errors import BadInput, Busy, NotFound

__all__ = [
    "BadInput",
    "Busy",
    "NotFound",
    "builtin_folders",
    "compare",
    "decoding_describe",
    "decoding_estimate",
    "decoding_frontier",
    "decoding_generate",
    "decoding_models",
    "decoding_watch",
    "depict",
    "describe",
    "explain",
    "export",
    "libraries",
    "lookup",
    "molecule",
    "molfile",
    "neighbours",
    "ready",
    "search",
    "stale",
    "suggest",
    "transport_estimate",
    "transport_file",
    "transport_map",
    "transport_map_estimate",
    "transport_plan",
    "transport_points",
    "transport_solvers",
    "transport_sweep",
    "transport_watch",
    "warm_up",
]

Ids = Sequence[str] | None
ExportRow = tuple[str, str] | tuple[str, str, int | None, float | None]


def search(text: str, *, libraries: Ids = None, **options: Any) -> dict[str, Any]:
    """Rank molecules for ``text``.

    ``options``: read_as, mode (auto|exact|similar|contains), same (compound|parent|tautomer), filters (flat names and
    values), k, offset, sort, stereo (respect|ignore), facets (whether to say how the hits are spread).
    """
    return _ask("search", text=text, libraries=_ids(libraries), **options)


def suggest(prefix: str, *, libraries: Ids = None, k: int = 8) -> dict[str, Any]:
    """Names that begin with ``prefix``: ``{"suggestions": [{"text", "name", "library", "id"}]}``."""
    return _ask("suggest", prefix=prefix, libraries=_ids(libraries), k=k)


def molecule(library: str, id: str) -> dict[str, Any]:
    """One molecule with everything known about it."""
    return _ask("molecule", library=library, id=id)


def neighbours(library: str, id: str, k: int = 12) -> dict[str, Any]:
    """The molecules nearest to one of a library."""
    return _ask("neighbours", library=library, id=id, k=k)


def explain(text: str, library: str, id: str) -> dict[str, Any]:
    """Why a molecule fits ``text``: the transport plan between words and motifs, and each word's atoms."""
    return _ask("explain", text=text, library=library, id=id)


def compare(text: str, library: str, first: str, second: str) -> dict[str, Any]:
    """Why one molecule stands above another for ``text``."""
    return _ask("compare", text=text, library=library, first=first, second=second)


def describe(structure: str, libraries: Ids = None, k: int = 10) -> dict[str, Any]:
    """The texts that describe a structure best."""
    return _ask("describe", structure=structure, libraries=_ids(libraries), k=k)


def lookup(items: Sequence[str], libraries: Ids = None) -> dict[str, Any]:
    """Each item of a list: found, ambiguous or not found."""
    return _ask("lookup", items=list(items), libraries=_ids(libraries))


def depict(
    structure: str,
    *,
    format: str = "svg",
    width: int = 260,
    height: int = 200,
    theme: str = "light",
    atoms: Sequence[int] = (),
    stereo: bool = True,
    ground: str = "",
) -> bytes:
    """A drawing of a structure as SVG or PNG; ``ground`` (``#rrggbb``) is painted behind it, else nothing."""
    return _ask(
        "depict",
        structure=structure,
        format=format,
        width=width,
        height=height,
        theme=theme,
        atoms=list(atoms),
        stereo=stereo,
        ground=ground,
    )


def molfile(structure: str) -> str:
    """A structure as a V2000 molfile."""
    return _ask("molfile", structure=structure)


def export(format: str, rows: Sequence[ExportRow], query: str = "") -> tuple[str, str, bytes, list[str]]:
    """File name, content type and content of ``rows``, in their order; then a sentence for whatever is not in it.

    A row is (library, id), or (library, id, rank, score) where it is the hit of a search.
    """
    name, kind, content, notes = _ask("export", format=format, rows=[list(row) for row in rows], query=query)
    return name, kind, content, list(notes)


def transport_plan(problem: Mapping[str, Any]) -> dict[str, Any]:
    """The transport plan of a problem between two point clouds; see :mod:`workers.transport` for its form."""
    return _ask("transport_plan", problem=dict(problem))


def transport_estimate(problem: Mapping[str, Any]) -> dict[str, Any]:
    """Memory and time that solving it will need."""
    return _ask("transport_estimate", problem=dict(problem))


def transport_solvers() -> dict[str, Any]:
    """Solvers, costs, sampled clouds and limits of the transport laboratory."""
    return _ask("transport_solvers")


def transport_sweep(problem: Mapping[str, Any]) -> dict[str, Any]:
    """The same clouds at several strengths of the entropy, beside the exact plan."""
    return _ask("transport_sweep", problem=dict(problem))


def transport_map(problem: Mapping[str, Any]) -> dict[str, Any]:
    """A map of the plane trained to its end: where it carries the points, and held-out figures."""
    return _ask("transport_map", problem=dict(problem))


def transport_map_estimate(problem: Mapping[str, Any]) -> dict[str, Any]:
    """Memory and time that training it will need."""
    return _ask("transport_map_estimate", problem=dict(problem))


def transport_watch(
    problem: Mapping[str, Any], stopping: Callable[[], bool] = lambda: False
) -> Iterator[dict[str, Any]]:
    """The training of such a map as events: its opening, then every few steps where it stands.

    Faults are raised when the opening is asked for. It ends early when ``stopping`` says so or the iterator is dropped.
    """
    if settings.FERRY_INFERENCE == "queue":
        return films.over_the_queue("transport_watch", {"problem": dict(problem)}, stopping)
    return engine.shared().answer("transport_watch", {"problem": dict(problem), "stopping": stopping})


def transport_points(spec: Mapping[str, Any], side: str) -> dict[str, Any]:
    """The points and weights of one cloud of a problem; ``side`` is source or target."""
    return _ask("transport_points", spec=dict(spec), side=side)


def transport_file(problem: Mapping[str, Any], format: str) -> tuple[str, str, bytes]:
    """File name, content type and content: ``links.csv``, ``plan.npy``, ``plan.npz`` or ``problem.npz``."""
    name, kind, content = _ask("transport_file", problem=dict(problem), format=format)
    return name, kind, content


def decoding_models() -> dict[str, Any]:
    """The language models in use: target, draft and aligned, each a name, hash, version and size, or None.

    ``faults`` says by slot why one is None. Raises NotFound where there is no target.
    """
    return _ask("decoding_models")


def decoding_describe() -> dict[str, Any]:
    """Tasks, methods, sampling and rewards of decoding, with parameters, defaults and limits."""
    return _ask("decoding_describe")


def decoding_estimate(request: Mapping[str, Any]) -> dict[str, Any]:
    """Memory and time that a decoding will need; see :mod:`workers.decoding` for the form of a request."""
    return _ask("decoding_estimate", request=dict(request))


def decoding_generate(request: Mapping[str, Any]) -> dict[str, Any]:
    """A decoding carried out whole: ``{"opened", "lanes": [done], "closed"}``."""
    return _ask_long("decoding_generate", request=dict(request))


def decoding_frontier(request: Mapping[str, Any]) -> dict[str, Any]:
    """Reward against distance from the target's law, at several α and for best-of-N: ``{"rows", …}``."""
    return _ask_long("decoding_frontier", request=dict(request))


def decoding_watch(
    request: Mapping[str, Any], stopping: Callable[[], bool] = lambda: False
) -> Iterator[dict[str, Any]]:
    """A decoding as events: opened, drafted, token, done, closed.

    Faults are raised when the first is asked for. It ends within a token when ``stopping`` says so or the iterator is
    dropped.
    """
    if settings.FERRY_INFERENCE == "queue":
        given = {"request": dict(request)}
        return films.over_the_queue("decoding_watch", given, stopping, decoding.LONGEST)
    return engine.shared().answer("decoding_watch", {"request": dict(request), "stopping": stopping})


def libraries() -> list[dict[str, Any]]:
    """The libraries that are open: id, name, size, fingerprint."""
    return _ask("libraries")


def ready() -> dict[str, Any]:
    """``{"ready": bool, …}``: whether a search would be answered now, and if not, why."""
    if settings.FERRY_INFERENCE == "queue":
        return remote.ready()
    return engine.shared().ready()


def stale() -> frozenset[str]:
    """Ids of libraries that were built by another model than the one in use."""
    return engine.shared().stale()


def builtin_folders() -> tuple[Path, ...]:
    """The folders of the libraries that come with the model in use."""
    return engine.shared().builtin_folders()


def warm_up() -> None:
    """Begin to load the model in the background, so that the first search finds it ready."""
    if settings.FERRY_INFERENCE != "queue":
        language_models.warm_after(engine.shared().warm_in_background())


def _ids(libraries: Ids) -> list[str] | None:
    return None if libraries is None else list(libraries)


def _ask_long(verb: str, **arguments: Any) -> Any:
    """As :func:`_ask`, for what may take minutes."""
    if settings.FERRY_INFERENCE == "queue":
        return remote.ask(verb, arguments, wait=decoding.LONGEST)
    return engine.shared().answer(verb, arguments)


def _ask(verb: str, **arguments: Any) -> Any:
    if settings.FERRY_INFERENCE == "queue":
        answer = remote.ask(verb, arguments)
    else:
        answer = engine.shared().answer(verb, arguments)
    if isinstance(answer, dict) and isinstance(answer.get("model"), str):
        calls.current().model = answer["model"]
    return answer
