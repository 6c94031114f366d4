"""Curves as charts: Vega-Lite specifications, drawn to SVG by :mod:`webapp.jobs.press`.

In the page the colours are the page's own (CSS variables), so that one drawing serves light and dark; a file that is
taken away gets the light palette written in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from webapp.jobs import press

MOST_POINTS = 1000  # a line
MOST_LINES = 8  # a chart
WIDTH, HEIGHT = 350, 170  # of the plot, in pixels
LIGHT = {
    "--ink": "#1d2425",
    "--muted": "#58605f",
    "--line": "#e2ded4",
    "--curve-1": "#0b6b6b",
    "--curve-2": "#a4560a",
    "--curve-3": "#5b4aa8",
    "--curve-4": "#a02360",
    "--curve-5": "#4d6b0f",
    "--curve-6": "#1f5fa8",
    "--curve-7": "#7a4a2b",
    "--curve-8": "#58605f",
}
DASHES: tuple[list[int], ...] = ([], [6, 3], [2, 2], [8, 3, 2, 3])
_VARIABLE = re.compile(r"var\((--[a-z0-9-]+)\)")


@dataclass(frozen=True)
class Line:
    """One curve: its name in the legend, and runs of (x, y), one for each attempt: between two runs is a gap."""

    name: str
    runs: tuple[tuple[tuple[float, float], ...], ...]

    @property
    def last(self) -> tuple[float, float] | None:
        """The last point."""
        return next((run[-1] for run in reversed(self.runs) if run), None)

    @property
    def gaps(self) -> list[float]:
        """Where a later attempt began."""
        return [run[0][0] for run in self.runs[1:] if run]


@dataclass(frozen=True)
class Chart:
    """Curves over one axis. ``name`` is unique on its page; ``words`` is what it says to those who do not see it."""

    name: str
    title: str
    x_title: str
    lines: tuple[Line, ...]
    words: str = ""
    y_title: str = field(default="")

    def svg(self, *, alone: bool = False) -> str:
        """The drawing; ``alone`` for a file of its own. Raises Busy when it cannot be drawn in time."""
        return finished(press.draw(specification(self)), self.words, alone=alone)


def specification(chart: Chart) -> dict[str, Any]:
    """The chart in Vega-Lite."""
    names = [line.name for line in chart.lines]
    rows = [
        {"x": x, "y": y, "line": line.name, "run": run}
        for line in chart.lines
        for run, points in enumerate(line.runs)
        for x, y in points
    ]
    gaps = sorted({gap for line in chart.lines for gap in line.gaps})
    several = len(names) > 1
    legend = {
        "title": None,
        "orient": "bottom",
        "direction": "horizontal",
        "columns": 2,
        "symbolType": "stroke",
    }
    x = {
        "field": "x",
        "type": "quantitative",
        "title": chart.x_title,
        "scale": {"nice": False, "zero": False},
    }
    colour = {
        "field": "line",
        "type": "nominal",
        "scale": {"domain": names, "range": [f"var(--curve-{n % 8 + 1})" for n in range(len(names))]},
        "legend": legend if several else None,
    }
    encoding = {
        "x": x,
        "y": {
            "field": "y",
            "type": "quantitative",
            "title": chart.y_title or None,
            "scale": {"zero": False},
            "axis": {"tickCount": 5, "format": "~g"},
        },
        "color": colour,
        "detail": {"field": "run"},
    }
    if several:
        dashes = [DASHES[n % len(DASHES)] or [1, 0] for n in range(len(names))]
        encoding["strokeDash"] = {
            "field": "line",
            "type": "nominal",
            "scale": {"domain": names, "range": dashes},
            "legend": legend,
        }
    lonely = max((len(run) for line in chart.lines for run in line.runs), default=0) < 2
    mark: dict[str, Any] = {"type": "line", "strokeWidth": 1.8, "point": lonely}
    layers: list[dict[str, Any]] = [{"mark": mark, "encoding": encoding}]
    if gaps:
        layers.append(
            {
                "data": {"values": [{"x": gap} for gap in gaps]},
                "mark": {"type": "rule", "strokeDash": [3, 3], "color": "var(--muted)"},
                "encoding": {"x": {"field": "x", "type": "quantitative", "title": chart.x_title}},
            }
        )
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "width": WIDTH,
        "height": HEIGHT,
        "padding": 4,
        "data": {"values": rows},
        "layer": layers,
        "config": _CONFIG,
    }


_AXIS = {
    "labelColor": "var(--muted)",
    "titleColor": "var(--muted)",
    "gridColor": "var(--line)",
    "domainColor": "var(--line)",
    "tickColor": "var(--line)",
    "labelFontSize": 12,
    "titleFontSize": 12,
    "titleFontWeight": "normal",
    "labelOverlap": "greedy",
}
_CONFIG = {
    "background": None,
    "aria": False,  # the whole drawing is one image with words of its own
    "font": "sans-serif",
    "view": {"stroke": None},
    "axis": _AXIS,
    "axisX": {"grid": False, "tickCount": 6},
    "legend": {"labelColor": "var(--ink)", "labelFontSize": 12, "labelLimit": 190, "symbolSize": 220},
}


def finished(svg: str, words: str, *, alone: bool = False) -> str:
    """A drawing with its words for those who do not see it; ``alone`` with colours that need no page around it."""
    head, _, rest = svg.partition(">")
    size = re.search(r'width="([\d.]+)" height="([\d.]+)"', head)
    assert size is not None
    if alone:
        rest = _VARIABLE.sub(lambda found: LIGHT.get(found.group(1), "#000000"), rest)
    else:
        head = head.replace(size.group(0), "")  # as wide as there is room: the view box has the proportions
    return f'{head} role="img" aria-label="{escape(words)}">{rest}'


def table(lines: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Rows as CSV with a header; numbers in full precision, empty where there is none."""
    import csv
    import io

    out = io.StringIO()
    writer = csv.DictWriter(out, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return out.getvalue()
