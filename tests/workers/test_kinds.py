"""A kind of job is one entry: from it come parameters, their checks, form, schema, command line and the work itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from mlcore.runtime.options import option
from workers import board, datasets, jobs, kinds, work
from workers.errors import BadInput
from workers.models import Worker

pytestmark = pytest.mark.django_db(transaction=True)


@dataclass(frozen=True)
class Countdown:
    """A training of nothing."""

    start: int = option(3, "where it begins", minimum=1, maximum=100)
    pace: str = option("even", "how it goes", choices=("even", "odd"))


PRESETS = {"cpu": Countdown(), "small": Countdown(start=1)}


@dataclass(frozen=True)
class CountdownParameters:
    """What the page asks for."""

    data: dict[str, str]
    preset: str = "cpu"
    overrides: dict[str, Any] = field(default_factory=dict)


def count(parameters: CountdownParameters, job: Any, progress: Any) -> dict[str, Any]:
    """The work."""
    config = kinds.find("countdown").configured(parameters.preset, parameters.overrides)
    for number in range(config.start):
        progress.update(number + 1, config.start, left=config.start - number - 1)
    return {"counted": config.start}


COUNTDOWN = kinds.Kind(
    "countdown",
    "training",
    CountdownParameters,
    f"{__name__}:count",
    "Countdown",
    presets=f"{__name__}:PRESETS",
    data=(kinds.Slot("train", "anything"),),
    internal=False,
)


@pytest.fixture
def countdown(monkeypatch, settings, tmp_path):
    """The one diff that a further kind needs."""
    settings.FERRY_DATA = tmp_path
    monkeypatch.setitem(kinds.KINDS, "countdown", COUNTDOWN)
    monkeypatch.setattr(
        kinds, "_named", lambda place: {"PRESETS": PRESETS, "count": count}[place.split(":")[1]]
    )
    monkeypatch.setattr(jobs, "ring", lambda job: None)


def test_one_entry_makes_a_kind_that_works(countdown):
    assert "countdown" in [kind.name for kind in kinds.offered()]
    assert [wanted.name for wanted in COUNTDOWN.options("small")] == ["start", "pace"]
    assert COUNTDOWN.options("small")[0].default == 1
    data = {"train": datasets.SHIPPED}
    job = jobs.submit("countdown", {"data": data, "overrides": {"start": 5}})
    assert work.perform(str(job.pk)) == "done"
    job.refresh_from_db()
    assert job.result == {"counted": 5}
    assert [point["values"]["left"] for point in board.curves(job)["points"]] == [4, 3, 2, 1, 0]


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"start": 0}, "at least 1"),
        ({"start": 101}, "at most 100"),
        ({"start": "many"}, "a whole number"),
        ({"pace": "fast"}, "Choose even, odd"),
        ({"strat": 3}, "Did you mean 'start'"),
    ],
)
def test_its_limits_are_held_before_anything_is_stored(countdown, overrides, words):
    with pytest.raises(BadInput, match=words):
        jobs.submit("countdown", {"data": {"train": datasets.SHIPPED}, "overrides": overrides})


def test_every_kind_describes_itself_and_can_be_loaded():
    for kind in kinds.KINDS.values():
        assert callable(kind.load())
        assert kind.title
        for preset in kind.load_presets():
            assert kind.configured(preset, {}) == kind.load_presets()[preset]
            for wanted in kind.options(preset):
                assert kind.configured(preset, {wanted.name: wanted.default}) == kind.load_presets()[preset]


def test_the_outlook_counts_what_waits_and_who_works(countdown, settings):
    from django.utils import timezone

    assert board.outlook("countdown")["workers"] == 0
    now = timezone.now()
    Worker.objects.create(name="a:1", queues=["training"], started=now, seen=now)
    Worker.objects.create(name="b:1", queues=["indexing"], started=now, seen=now)
    data = {"train": datasets.SHIPPED}
    done = jobs.submit("countdown", {"data": data})
    work.perform(str(done.pk))
    first, second = (jobs.submit("countdown", {"data": data}) for _ in range(2))
    found = board.outlook("countdown")
    assert (found["waiting"], found["workers"]) == (2, 1)
    assert found["takes"] is not None
    assert found["begins_in"] == pytest.approx(2 * found["takes"])
    assert [board.place(job) for job in (first, second)] == [0, 1]


def test_words_for_how_a_job_stands(countdown):
    from datetime import timedelta

    from django.utils import timezone

    from workers.models import Job

    job = jobs.submit("countdown", {"data": {"train": datasets.SHIPPED}})
    assert board.standing(job) == "queued"
    jobs.claim(job.pk, "one")
    job.refresh_from_db()
    assert board.standing(job) == "starting"
    Job.objects.filter(pk=job.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    job.refresh_from_db()
    assert board.standing(job) == "lost contact"
    assert board.actions(job) == ["stop", "clone"]
