"""The state of a search: all of it stands in the address, and every link on the page is a change of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from django.http import QueryDict

from webapp.search.forms import SearchForm
from webapp.search.vocabulary import DEFAULTS, FILTERS

PIN_LENGTH = 16


@dataclass(frozen=True)
class SearchState:
    """All that decides an answer: the text, how to read it, the filters, the slice, and what it is pinned to."""

    q: str = ""
    read_as: str = DEFAULTS["read_as"]
    mode: str = DEFAULTS["mode"]
    same: str = DEFAULTS["same"]
    stereo: str = DEFAULTS["stereo"]
    sort: str = DEFAULTS["sort"]
    k: int = DEFAULTS["k"]
    offset: int = DEFAULTS["offset"]
    libraries: tuple[str, ...] = ()
    filters: Mapping[str, Any] = field(default_factory=dict)
    model: str = ""
    pins: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, query: QueryDict) -> tuple[SearchState, SearchForm]:
        """The state of an address and the form that read it; fields in error are left out of the state."""
        form = SearchForm(query)
        form.is_valid()
        values = form.cleaned_data
        chosen = {name: values.get(name) or default for name, default in DEFAULTS.items()}
        filters = {name: values[name] for name in FILTERS if values.get(name) not in (None, "")}
        libraries, pins = _libraries(query.getlist("library"))
        state = cls(
            q=values.get("q") or "",
            filters=filters,
            libraries=libraries,
            pins=pins,
            model=values.get("model", ""),
            **chosen,
        )
        return state, form

    @property
    def empty(self) -> bool:
        """True when the box is empty: there is nothing to search for."""
        return not self.q.strip()

    @property
    def pinned(self) -> bool:
        """True for a permalink: it names the model or a library's version."""
        return bool(self.model or self.pins)

    def changed(self, **values: Any) -> SearchState:
        """The same search with other values, from the first page on unless ``offset`` is given."""
        return replace(self, **{"offset": 0, **values})

    def without(self, names: Iterable[str]) -> SearchState:
        """The same search with some filters taken away."""
        gone = set(names)
        return self.changed(filters={name: value for name, value in self.filters.items() if name not in gone})

    @property
    def cleared(self) -> str:
        """The query string of the same search without any filter."""
        return self.changed(
            filters={}, libraries=(), pins={}, stereo=DEFAULTS["stereo"], same=DEFAULTS["same"]
        ).query()

    def unpinned(self) -> SearchState:
        """The same search on whatever model and libraries are there now."""
        return replace(self, model="", pins={})

    def pinned_to(self, answer: Mapping[str, Any]) -> SearchState:
        """The same search, tied to the model and the library versions that gave ``answer``."""
        pins = {library["id"]: str(library["fingerprint"])[:PIN_LENGTH] for library in answer["libraries"]}
        return replace(self, libraries=tuple(pins), pins=pins, model=str(answer["model"])[:PIN_LENGTH])

    def pairs(self) -> list[tuple[str, str]]:
        """Names and values of the address, in a fixed order, without anything that is as by default."""
        out = [("q", self.q)] if self.q else []
        out += [(n, str(getattr(self, n))) for n, default in DEFAULTS.items() if getattr(self, n) != default]
        out += [(name, _write(self.filters[name])) for name in FILTERS if name in self.filters]
        out += [
            ("library", f"{name}@{self.pins[name]}" if name in self.pins else name) for name in self.libraries
        ]
        return out + ([("model", self.model)] if self.model else [])

    def kept(self) -> list[tuple[str, str]]:
        """What a new text is searched with as well, where the page shows no filter panel to say so."""
        return [pair for pair in self.unpinned().pairs() if pair[0] not in ("q", "read_as", "offset")]

    def query(self) -> str:
        """The query string, with its question mark; empty for the empty search."""
        pairs = self.pairs()
        return f"?{urlencode(pairs)}" if pairs else ""

    def door(self) -> dict[str, Any]:
        """The arguments of ``workers.inference.search``, except which libraries the person may read."""
        return {
            "text": self.q,
            "filters": dict(self.filters),
            **{name: getattr(self, name) for name in DEFAULTS},
        }


def _libraries(values: Iterable[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    names: dict[str, None] = {}
    pins = {}
    for value in values:
        name, _, pin = value.strip().partition("@")
        if name:
            names[name] = None
            if pin:
                pins[name] = pin
    return tuple(names), pins


def _write(value: Any) -> str:
    return (
        f"{value:g}"
        if isinstance(value, float) and abs(value) < 1e6 and value == float(f"{value:g}")
        else str(value)
    )
