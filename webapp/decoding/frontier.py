"""Reward against distance from the model's own law, as a chart and a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from webapp.decoding import wording
from webapp.jobs import press
from webapp.jobs.charts import _AXIS, finished

WIDTH, HEIGHT = 520, 260
ROOM = (0.12, 0.06)  # of a label, as shares of the plot
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross")


def shown(answer: Mapping[str, Any]) -> dict[str, Any]:
    """The rows with their titles, the drawing, and what it says. Raises Busy when it cannot be drawn in time."""
    rows = [{**row, "title": title(str(row["method"])), "setting": setting(row)} for row in answer["rows"]]
    placed = [row for row in rows if row["kl"] is not None and row["reward"] is not None]
    svg = finished(press.draw(specification(placed)), words(placed)) if placed else ""
    return {"rows": rows, "svg": svg, "sentence": answer.get("sentence", "")}


def title(method: str) -> str:
    """A method in few words."""
    return wording.METHODS.get(method, method).split(":")[0]


def setting(row: Mapping[str, Any]) -> str:
    """What the point was made with: ``α = 0.5`` or ``N = 4``."""
    if row.get("n") is not None:
        return f"N = {row['n']}"
    return f"α = {row['alpha']:.3g}" if row.get("alpha") is not None else ""


def words(rows: Sequence[Mapping[str, Any]]) -> str:
    """The chart for those who do not see it."""
    said = [
        f"{row['title']}, {row['setting']}: reward {row['reward']:.3g} at KL {row['kl']:.3g}" for row in rows
    ]
    return "Mean reward against KL divergence. " + "; ".join(said)


def labels(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is written beside each point: its setting, and nothing where that would stand on another's."""
    extent = [max(abs(row[axis]) for row in rows) or 1.0 for axis in ("kl", "reward")]
    taken: list[tuple[float, float]] = []
    out = []
    for row in rows:
        place = (row["kl"] / extent[0], row["reward"] / extent[1])
        free = all(abs(place[0] - x) > ROOM[0] or abs(place[1] - y) > ROOM[1] for x, y in taken)
        taken += [place] if free else []
        out.append(row["setting"] if free else "")
    return out


def specification(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The chart in Vega-Lite: one line a method, each point labelled with what made it."""
    titles = list(dict.fromkeys(row["title"] for row in rows))
    scale = {"domain": titles, "range": [f"var(--curve-{n % 8 + 1})" for n in range(len(titles))]}
    legend = {"title": None, "orient": "bottom", "direction": "horizontal", "columns": 2, "columnPadding": 48}
    colour = {"field": "title", "type": "nominal", "scale": scale, "legend": legend}
    shape = {
        "field": "title",
        "type": "nominal",
        "scale": {"domain": titles, "range": [SHAPES[n % len(SHAPES)] for n in range(len(titles))]},
        "legend": legend,
    }
    x = {
        "field": "kl",
        "type": "quantitative",
        "title": "KL divergence from the target's law, nats per answer",
        "scale": {"zero": True},
    }
    y = {
        "field": "reward",
        "type": "quantitative",
        "title": "mean reward",
        "scale": {"zero": False, "nice": True},
    }
    values = [
        {**{name: row[name] for name in ("kl", "reward", "title")}, "setting": label}
        for row, label in zip(rows, labels(rows), strict=True)
    ]
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "width": WIDTH,
        "height": HEIGHT,
        "padding": 4,
        "data": {"values": values},
        "encoding": {"x": x, "y": y},
        "layer": [
            {
                "mark": {"type": "line", "strokeWidth": 1.5, "opacity": 0.4},
                "encoding": {"color": {**colour, "legend": None}},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 70, "opacity": 1},
                "encoding": {"color": colour, "shape": shape},
            },
            {
                "mark": {"type": "text", "dy": -10, "fontSize": 11},
                "encoding": {"text": {"field": "setting"}, "color": {"value": "var(--muted)"}},
            },
        ],
        "config": CONFIG,
    }


CONFIG = {
    "background": None,
    "aria": False,
    "font": "sans-serif",
    "view": {"stroke": None},
    "axis": _AXIS,
    "axisX": {"grid": False, "tickCount": 6},
    "legend": {"labelColor": "var(--ink)", "labelFontSize": 12, "labelLimit": 260, "symbolSize": 90},
}
