"""From a search's state to everything that the results page shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from webapp.api.as_code import as_code
from webapp.search import problems
from webapp.search.examples import EXAMPLES
from webapp.search.forms import MODES, READINGS, STEREO, SearchForm
from webapp.search.quantities import QUANTITIES, SORTS
from webapp.search.shelves import readable, shelf
from webapp.search.state import PAGE_SIZES, SearchState
from workers import inference

STEP_DOWN = 0.2
STRUCTURE_KINDS = ("smiles", "inchi", "molfile", "inchikey")


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
                libraries=readable(user, state.libraries, shown["shelf"]), **state.door()
            )
            shown |= _answered(state, answer, base)
        except problems.FAULTS as error:
            problem = problems.explain(error)
    elif problem is None and state.filters:
        shown["hint"] = "The filters narrow a search: write something in the box as well."
    beside = bool(problem and (shown["chips"] or problem.field not in ("", "text", "q")))
    return shown | {"problem": problem, "panel": beside or "answer" in shown}


def _frame(state: SearchState, form: SearchForm, user: Any) -> dict[str, Any]:
    ranges = [
        {"quantity": quantity, "low": form[quantity.low], "high": form[quantity.high]}
        for quantity in QUANTITIES
    ]
    return {
        "state": state,
        "form": form,
        "examples": EXAMPLES,
        "ranges": ranges,
        "shelf": shelf(user),
        "sorts": SORTS,
        "modes": MODES,
        "stereo_choices": STEREO,
        "page_sizes": PAGE_SIZES,
        "chips": chips(state),
        "readings": READINGS,
    }


def _answered(state: SearchState, answer: dict[str, Any], base: str) -> dict[str, Any]:
    permalink = state.pinned_to(answer)
    return {
        "answer": answer,
        "structure_query": answer["query"].get("canonical")
        if answer["query"]["kind"] in STRUCTURE_KINDS
        else None,
        "readings": [
            {"label": other["label"], "url": state.changed(read_as=other["read_as"]).query()}
            for other in answer["query"]["alternatives"]
        ],
        "pages": pages(state, answer),
        "permalink": base + permalink.query(),
        "moved": moved(state, answer),
        "unpinned": state.unpinned().query(),
        "recipes": as_code(state.unpinned().pairs(), base),
        "loosened": loosened(state),
        "next_keys": _following(answer["hits"]),
    }


def chips(state: SearchState) -> list[Chip]:
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
    texts = {
        "substructure": "contains {}",
        "elements": "has {}",
        "without": "without {}",
        "only": "only {}",
        "category": "category {}",
    }
    out += [
        _chip(state, text.format(state.filters[name]), name)
        for name, text in texts.items()
        if name in state.filters
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
    if state.stereo == "ignore":
        out.append(Chip("stereo ignored", state.changed(stereo="respect").query()))
    for library in state.libraries:
        rest = tuple(name for name in state.libraries if name != library)
        out.append(Chip(f"in {library}", state.changed(libraries=rest).query()))
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


def loosened(state: SearchState) -> list[Chip]:
    """What to try when nothing was found: the same search with something less."""
    out = [Chip(f"Leave out “{chip.text}”", chip.without) for chip in chips(state)]
    if state.filters:
        out.append(Chip("Leave out all filters", state.without(state.filters).query()))
    least = state.filters.get("similarity", 0.0)
    if least > STEP_DOWN:
        lower = round(least - STEP_DOWN, 2)
        looser = state.changed(filters={**state.filters, "similarity": lower})
        out.append(Chip(f"Accept a similarity of {lower:g}", looser.query()))
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
