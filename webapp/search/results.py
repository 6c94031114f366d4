"""From a search's state to everything that the results page shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from webapp.api.as_code import as_code
from webapp.search import problems, spread, vocabulary
from webapp.search.examples import EXAMPLES
from webapp.search.forms import SearchForm
from webapp.search.quantities import QUANTITIES
from webapp.search.shelves import readable, shelf
from webapp.search.state import SearchState
from workers import inference

STEP_DOWN = 0.2
SAME_CHIPS = {"parent": "any salt, charge or solvate", "tautomer": "any tautomer"}


@dataclass(frozen=True)
class Chip:
    """A filter that is on: its words and the address of the same search without it."""

    text: str
    without: str


def context(state: SearchState, form: SearchForm, user: Any, base: str) -> dict[str, Any]:
    """Everything the search page needs; a refused search has a ``problem`` and no ``answer``."""
    shown = _frame(state, form, user)
    problem = problems.of_form(form)
    if problem is None and not state.empty:
        try:
            answer = inference.search(
                libraries=readable(user, state.libraries, shown["shelf"]), facets=True, **state.door()
            )
            shown |= _answered(state, answer, base) | _spread(state, shown, answer.get("facets", {}))
        except problems.FAULTS as error:
            problem = problems.explain(error)
    elif problem is None and state.filters:
        shown["hint"] = "The filters narrow a search: write something in the box as well."
    beside = bool(problem and (shown["chips"] or problem.field not in ("", "text", "q")))
    return shown | {"problem": problem, "panel": beside or "answer" in shown}


def _frame(state: SearchState, form: SearchForm, user: Any) -> dict[str, Any]:
    libraries = shelf(user)
    ranges = [
        {"quantity": quantity, "low": form[quantity.low], "high": form[quantity.high]}
        for quantity in QUANTITIES
    ]
    return {
        "state": state,
        "form": form,
        "examples": EXAMPLES,
        "ranges": ranges,
        "shelf": libraries,
        "titles": titles(libraries),
        "sorts": vocabulary.OFFERED_SORTS,
        "modes": vocabulary.MODES,
        "same_choices": vocabulary.SAME,
        "stereo_choices": vocabulary.STEREO,
        "page_sizes": vocabulary.PAGE_SIZES,
        "formats": vocabulary.EXPORT_FORMATS,
        "most_exported": vocabulary.MAX_EXPORT_HITS,
        "chips": chips(state, titles(libraries)),
    }


def _spread(state: SearchState, shown: Mapping[str, Any], facets: Mapping[str, Any]) -> dict[str, Any]:
    """What the filter panel says of the hits: bars beside the bounds, counts beside categories and libraries."""
    bars, held = spread.spreads(facets), spread.libraries(facets)
    return {
        "ranges": [{**row, "spread": bars.get(row["quantity"].name)} for row in shown["ranges"]],
        "categories": spread.categories(state, facets),
        "shelf": [{**library, "found": held.get(library["id"])} for library in shown["shelf"]],
        "facet_total": facets.get("total"),
        "bars_shown": facets.get("total", 0) >= spread.FEWEST,
    }


def _answered(state: SearchState, answer: dict[str, Any], base: str) -> dict[str, Any]:
    permalink = state.pinned_to(answer)
    return {
        "answer": answer,
        "structure_query": answer["query"].get("canonical")
        if answer["query"]["kind"] in vocabulary.STRUCTURE_KINDS
        else None,
        "structural": answer["query"]["kind"] in vocabulary.STRUCTURE_KINDS,
        "readings": [
            {"label": other["label"], "url": state.changed(read_as=other["read_as"]).query()}
            for other in answer["query"]["alternatives"]
        ],
        "pages": pages(state, answer),
        "permalink": base + permalink.query(),
        "moved": moved(state, answer),
        "unpinned": state.unpinned().query(),
        "recipes": as_code(state.unpinned().pairs(), base),
        "loosened": loosened(state, titles(answer["libraries"])),
        "next_keys": _following(answer["hits"]),
    }


def titles(libraries: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """What people call each library, by its id."""
    return {library["id"]: library["name"] for library in libraries}


def chips(state: SearchState, called: Mapping[str, str]) -> list[Chip]:
    """One removable chip for every filter that is on; the two bounds of a quantity are one."""
    out = []
    for quantity in QUANTITIES:
        low, high = state.filters.get(quantity.low), state.filters.get(quantity.high)
        if low is None and high is None:
            continue
        bounds = f"{low:g} to {high:g}" if low is not None and high is not None else ""
        bounds = bounds or (f"at least {low:g}" if low is not None else f"at most {high:g}")
        out.append(
            _chip(state, f"{quantity.label} {bounds} {quantity.unit}".strip(), quantity.low, quantity.high)
        )
    out += [
        _chip(state, condition.chip.format(state.filters[condition.name]), condition.name)
        for condition in vocabulary.CONDITIONS
        if condition.chip and condition.name in state.filters
    ]
    if "mass" in state.filters:
        tolerance = state.filters.get("mass_tolerance", "5ppm")
        out.append(
            _chip(state, f"exact mass {state.filters['mass']:g} ± {tolerance}", "mass", "mass_tolerance")
        )
    if "similar_to" in state.filters:
        least = state.filters.get("similarity")
        text = f"like {state.filters['similar_to']}" + (f", at least {least:g}" if least is not None else "")
        out.append(_chip(state, text, "similar_to", "similarity"))
    if state.same in SAME_CHIPS:
        text = SAME_CHIPS[state.same]
        out.append(Chip(text, state.changed(same=vocabulary.DEFAULTS["same"]).query()))
    if state.stereo == "ignore":
        out.append(Chip("stereo ignored", state.changed(stereo="respect").query()))
    for library in state.libraries:
        rest = tuple(name for name in state.libraries if name != library)
        out.append(Chip(f"in {called.get(library, library)}", state.changed(libraries=rest).query()))
    return out


def pages(state: SearchState, answer: Mapping[str, Any]) -> dict[str, Any]:
    """First and last shown, and the addresses of the pages before and after."""
    first, shown, total = answer["offset"], len(answer["hits"]), answer["total"]
    before = state.changed(offset=max(first - state.k, 0)).query() if first > 0 else ""
    after = state.changed(offset=first + state.k).query() if first + shown < total and shown else ""
    return {
        "first": first + 1 if shown else 0,
        "last": first + shown,
        "total": total,
        "before": before,
        "after": after,
    }


def moved(state: SearchState, answer: Mapping[str, Any]) -> list[str]:
    """What has changed since a permalink was made, in words; empty when the answer is the pinned one."""
    out = []
    model = str(answer["model"])
    if state.model and not model.startswith(state.model):
        out.append(f"the model (then {state.model[:8]}, now {model[:8]})")
    now = {library["id"]: library for library in answer["libraries"]}
    for name, pin in state.pins.items():
        library = now.get(name)
        if library is not None and not str(library["fingerprint"]).startswith(pin):
            out.append(f"the library {library['name']} (then {pin[:8]}, now {library['fingerprint'][:8]})")
    return out


def loosened(state: SearchState, called: Mapping[str, str]) -> list[Chip]:
    """What to try when nothing was found: the same search with something less."""
    out = [Chip(f"Leave out “{chip.text}”", chip.without) for chip in chips(state, called)]
    if state.filters:
        out.append(Chip("Leave out all filters", state.without(state.filters).query()))
    least = state.filters.get("similarity", 0.0)
    if least > STEP_DOWN:
        lower = round(least - STEP_DOWN, 2)
        looser = state.changed(filters={**state.filters, "similarity": lower})
        out.append(Chip(f"Accept a similarity of {lower:g}", looser.query()))
    if state.mode == "exact" and state.same == "compound":
        out.append(Chip("Count any salt or solvate as the same", state.changed(same="parent").query()))
    if state.mode == "exact":
        out.append(Chip("Look for similar molecules instead", state.changed(mode="similar").query()))
    if state.read_as != "auto":
        out.append(Chip("Let Ferry decide how to read it", state.changed(read_as="auto").query()))
    return out


def _chip(state: SearchState, text: str, *names: str) -> Chip:
    return Chip(text, state.without(names).query())


def _following(hits: list[dict[str, Any]]) -> dict[int, str]:
    """Rank of each hit → id of the next one, where both lie in one library and so can be compared."""
    return {
        one["rank"]: two["molecule"]["id"] for one, two in pairwise(hits) if one["library"] == two["library"]
    }
