"""How the hits are spread, as the filter panel draws it: small bars beside each pair of bounds, counts beside names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from webapp.search.quantities import BY_NAME, Quantity
from webapp.search.state import SearchState

WIDTH, HEIGHT = 100.0, 24.0
LEAST_HEIGHT = 1.5
MOST_CATEGORIES = 8
#: of fewer hits the ends say all that bars would
FEWEST = 5
MINUS = "−"


@dataclass(frozen=True)
class Bar:
    """One bar of a histogram: its box in the drawing, and its words (``100 to 200 g/mol: 159``)."""

    x: float
    y: float
    width: float
    height: float
    words: str


@dataclass(frozen=True)
class Spread:
    """A property over all hits: its bars, its ends as one types them, and a sentence for who cannot see the bars."""

    bars: tuple[Bar, ...]
    least: str
    most: str
    sentence: str


@dataclass(frozen=True)
class Count:
    """A category with its hits, and the address of the search narrowed to it (widened again where it is on)."""

    name: str
    count: int
    url: str
    on: bool


def spreads(facets: Mapping[str, Any]) -> dict[str, Spread]:
    """The properties of an answer's facets, by name."""
    return {
        number["name"]: spread(number, BY_NAME[number["name"]], facets["total"])
        for number in facets.get("numbers", ())
        if number["name"] in BY_NAME
    }


def spread(number: Mapping[str, Any], quantity: Quantity, total: int) -> Spread:
    """One property's bars, scaled to the tallest; a bar with any hit at all is seen."""
    counts, ends = number["counts"], list(pairwise(number["edges"]))
    pitch = WIDTH / len(counts)
    tallest = max(counts)
    bars = []
    for place, (count, (low, high)) in enumerate(zip(counts, ends, strict=True)):
        tall = max(HEIGHT * count / tallest, LEAST_HEIGHT) if count else 0.0
        words = f"{_between(low, high, quantity)}: {count:,}"
        bars.append(
            Bar(
                round(place * pitch, 2),
                round(HEIGHT - tall, 2),
                round(0.86 * pitch, 2),
                round(tall, 2),
                words,
            )
        )
    least, most = written(number["min"], quantity), written(number["max"], quantity)
    fullest = counts.index(tallest)
    unit = f" {quantity.unit}" if quantity.unit else ""
    found = f"{quantity.label} of the {total:,} found: "
    often = f"most often {_between(*ends[fullest], quantity)} ({tallest:,})."
    sentence = (
        f"{found}{least}{unit} for all." if least == most else f"{found}{least} to {most}{unit}; {often}"
    )
    typed = (text.replace(",", "").replace(MINUS, "-") for text in (least, most))
    return Spread(tuple(bars), *typed, sentence)


def categories(state: SearchState, facets: Mapping[str, Any]) -> list[Count]:
    """The fullest categories, each leading to the search within it; those that are on come first."""
    chosen = [name.strip() for name in str(state.filters.get("category", "")).split(",") if name.strip()]
    folded = {name.casefold() for name in chosen}
    counts = facets.get("categories", {})
    out = []
    for name, count in sorted(counts.items(), key=lambda pair: pair[0].casefold() not in folded):
        on = name.casefold() in folded
        kept = [one for one in chosen if one.casefold() != name.casefold()] if on else [name]
        filters = {**state.filters, "category": ",".join(kept)}
        narrowed = state.changed(filters={key: value for key, value in filters.items() if value != ""})
        out.append(Count(name, count, narrowed.query(), on))
    return out[: max(MOST_CATEGORIES, len(chosen))]


def libraries(facets: Mapping[str, Any]) -> dict[str, int]:
    """Hits by library id."""
    return {entry["id"]: entry["count"] for entry in facets.get("libraries", ())}


def written(value: float, quantity: Quantity) -> str:
    """A number as short as it can be: no more digits than its size needs."""
    digits = 0 if quantity.whole or abs(value) >= 100 else 1
    text = f"{value:,.{digits}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", MINUS)


def _between(low: float, high: float, quantity: Quantity) -> str:
    """What a bar holds, in words."""
    unit = f" {quantity.unit}" if quantity.unit else ""
    if quantity.whole:
        last = high - 1
        text = written(low, quantity)
        return f"{text}{unit}" if last <= low else f"{text} to {written(last, quantity)}{unit}"
    return f"{written(low, quantity)} to {written(high, quantity)}{unit}"
