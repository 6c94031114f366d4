"""Charts: which metrics share one, how many points are drawn, that nothing is fetched, how a dead child is replaced."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.jobs import charts, curves, press
from webapp.jobs.charts import Chart, Line
from workers.inference import Busy

FALLING = Line("loss", (tuple((float(step), 1 / step) for step in range(1, 30)),))


def test_metrics_that_begin_alike_share_a_chart():
    names = ["loss", "sentence", "held_out_l2", "held_out_gap", "train/loss", "train/rate"]
    assert curves.groups(names) == {
        "loss": ["loss"],
        "sentence": ["sentence"],
        "held_out": ["held_out_l2", "held_out_gap"],
        "train": ["train/loss", "train/rate"],
    }


@given(st.lists(st.text("ab_/", min_size=1, max_size=6), unique=True, max_size=40))
def test_every_metric_is_on_exactly_one_chart(names):
    found = curves.groups(names)
    assert sorted(name for members in found.values() for name in members) == sorted(names)
    assert all(len(members) <= charts.MOST_LINES for members in found.values())


def test_a_line_draws_a_thousand_points_and_ends_where_the_work_ended():
    points = [
        {"step": step, "seconds": step, "epoch": None, "attempt": step // 2_000, "values": {"loss": 1 / step}}
        for step in range(1, 4_001)
    ]
    (chart,) = curves.charts(points)
    (line,) = chart.lines
    assert sum(len(run) for run in line.runs) == charts.MOST_POINTS
    assert line.last == (4_000, 1 / 4_000)
    assert len(line.runs) == 3


def test_time_is_in_the_unit_that_suits_it():
    def title(longest):
        return curves.axis("time", [{"seconds": longest}]).title

    assert [title(s) for s in (90, 1_200, 50_000, 900_000)] == [
        "seconds of work",
        "minutes of work",
        "hours of work",
        "days of work",
    ]


def test_epochs_are_offered_where_there_are_some():
    point = {"step": 1, "seconds": 1.0, "attempt": 1, "values": {"loss": 1.0}}
    assert list(curves.axes([{**point, "epoch": None}])) == ["step", "time"]
    assert list(curves.axes([{**point, "epoch": 0.5}])) == ["step", "epoch", "time"]


def test_a_drawing_has_text_words_and_the_colours_of_the_page():
    svg = Chart("loss", "loss", "step", (FALLING,), 'loss: 0.034 at "step" 29.').svg()
    root = ET.fromstring(svg)
    assert root.get("role") == "img"
    assert root.get("aria-label") == 'loss: 0.034 at "step" 29.'
    assert root.get("width") is None
    assert any(text.text == "step" for text in root.iter("{http://www.w3.org/2000/svg}text"))
    assert "var(--curve-1)" in svg


def test_names_that_look_like_code_are_only_text():
    lines = (Line("<script>alert(1)</script>", FALLING.runs), Line("b", FALLING.runs))
    svg = Chart("x", "x", "step", lines, "<b>").svg()
    assert "<script" not in svg
    assert "<b>" not in svg


def test_every_colour_of_a_file_is_written_out():
    lines = tuple(Line(str(number), FALLING.runs) for number in range(charts.MOST_LINES))
    svg = Chart("x", "x", "step", lines).svg(alone=True)
    assert "var(" not in svg
    wanted = {value for name, value in charts.LIGHT.items() if name.startswith("--curve")}
    assert wanted <= set(svg.replace('"', " ").split())


def test_one_point_is_a_dot():
    specification = charts.specification(Chart("x", "x", "step", (Line("x", (((1.0, 2.0),),)),)))
    assert specification["layer"][0]["mark"]["point"] is True


def test_nothing_is_fetched_from_any_address():
    with pytest.raises(ValueError, match="not allowed"):
        press.draw(
            {"data": {"url": "http://127.0.0.1:9/x.json"}, "mark": "line", "encoding": {"x": {"field": "a"}}}
        )


def test_a_child_that_has_ended_is_followed_by_another():
    first = Chart("a", "a", "step", (FALLING,), "one").svg()
    assert press._child is not None
    press._child.kill()
    press._drawn.cache_clear()
    assert Chart("a", "a", "step", (FALLING,), "one").svg() == first


def test_a_drawing_that_takes_too_long_is_given_up(monkeypatch):
    monkeypatch.setattr(press, "PATIENCE", 0.0)
    press.close()
    with pytest.raises(Busy, match="could not be drawn"):
        press.draw({"mark": "point", "data": {"values": []}, "name": "late"})
    assert press._child is None


def test_the_same_chart_is_drawn_once(monkeypatch):
    chart = Chart("same", "same", "step", (FALLING,), "same")
    chart.svg()
    monkeypatch.setattr(press, "_ask", lambda line: pytest.fail("drawn again"))
    chart.svg(alone=True)
