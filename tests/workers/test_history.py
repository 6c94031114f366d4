"""Curves: thinned out evenly, replaced where a resumed job goes back, and never with what is no number."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers import board, history
from workers.history import Measured
from workers.models import Job

pytestmark = pytest.mark.django_db


@pytest.fixture
def job():
    """A job to measure."""
    return Job.objects.create(kind="monge", queue="training")


def measured(*steps: int, **values: float) -> list[Measured]:
    """Points at these steps, a second apart."""
    return [Measured(step, float(step), None, values or {"loss": 1.0 / step}) for step in steps]


def test_points_come_back_in_order(job):
    history.record(job.pk, 1, measured(2, 3))
    history.record(job.pk, 1, measured(1))
    assert [point["step"] for point in history.points(job.pk)] == [1, 2, 3]
    assert history.seconds_worked(job.pk) == 3.0


def test_the_same_step_again_replaces_what_was_there(job):
    history.record(job.pk, 1, measured(1, loss=1.0))
    history.record(job.pk, 1, measured(1, loss=2.0))
    assert [point["values"]["loss"] for point in history.points(job.pk)] == [2.0]


def test_a_resumed_job_replaces_what_came_after_its_checkpoint(job):
    history.record(job.pk, 1, measured(1, 2, 3, 4))
    history.record(job.pk, 2, measured(3, loss=9.0))
    assert [(point["step"], point["attempt"]) for point in history.points(job.pk)] == [(1, 1), (2, 1), (3, 2)]


def test_long_runs_are_thinned_out_evenly_and_keep_both_ends(job, monkeypatch):
    monkeypatch.setattr(history, "KEPT", 50)
    for first in range(1, 1001, 10):
        history.record(job.pk, 1, measured(*range(first, first + 10)))
    steps = [point["step"] for point in history.points(job.pk)]
    assert len(steps) <= 50
    assert steps[-1] == 1000
    assert steps[0] < 100
    gaps = [after - before for before, after in itertools.pairwise(steps)]
    assert max(gaps) <= 4 * 1000 / 25


@given(st.lists(st.integers(0, 5000), min_size=60, max_size=300, unique=True).map(sorted))
def test_what_thinning_leaves_begins_and_ends_as_before_and_is_even(steps):
    known = list(enumerate(steps))
    gone = set(history._superfluous(known, 20))
    kept = [step for key, step in known if key not in gone]
    assert (kept[0], kept[-1]) == (steps[0], steps[-1])
    assert len(kept) <= 20 + 2
    stride = (steps[-1] - steps[0]) / 20
    assert all(after - before >= stride for before, after in itertools.pairwise(kept[:-1]))


def test_what_is_no_number_is_left_out(job):
    history.record(job.pk, 1, measured(1, loss=math.nan, rate=0.5))
    assert history.points(job.pk)[0]["values"] == {"rate": 0.5}


@pytest.mark.parametrize("count", [1, 2, 9, 10, 11, 1234])
def test_a_thinned_curve_keeps_first_and_last(count):
    points = [{"step": number} for number in range(count)]
    kept = board.thinned(points, 10)
    assert len(kept) == min(count, 10)
    assert (kept[0]["step"], kept[-1]["step"]) == (0, count - 1)
    assert kept == sorted(kept, key=lambda point: point["step"])
