"""The form of a new job: made from the registry, errors beside their fields, sent twice it is one job."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
from django.test import Client

from workers import kinds
from workers.datasets import SHIPPED
from workers.models import Job, Worker

FORM = "/jobs/new/?kind=retrieval&preset=small"


def sent(**changes):
    """A form that is in order, with changes."""
    values = {"kind": "retrieval", "preset": "small", "name": "Mine", "data.train": SHIPPED, "key": "k1"}
    return values | changes


def test_every_kind_that_people_may_start_is_offered(page):
    html = page("/jobs/new/")
    for kind in kinds.KINDS.values():
        assert (f"?kind={kind.name}" in html) == (not kind.internal)


def test_a_kind_of_other_pages_has_no_form(page):
    assert "begun by another page" in page("/jobs/new/?kind=library", 422)
    assert "no kind of job" in page("/jobs/new/?kind=unheard", 422)


def test_every_parameter_of_the_preset_has_a_field(page):
    html = page("/jobs/new/?kind=monge&preset=small")
    for option in kinds.find("monge").options("small"):
        field = re.search(rf'<(input|select)[^>]*name="set\.{re.escape(option.name)}"[^>]*>', html)
        assert field is not None, option.name
        if field.group(1) == "input":
            assert f'placeholder="{option.default}"' in field.group()
    assert "<details" in html
    assert 'id="options" open' not in html


def test_only_what_differs_from_the_preset_is_kept(at_work, bells):
    option = next(o for o in kinds.find("monge").options("small") if o.name == "steps")
    values = {"kind": "monge", "preset": "small", "data.source": SHIPPED}
    at_work.post("/jobs/new/", values | {"set.steps": str(option.default), "set.rate": "0.05"})
    job = Job.objects.get()
    assert job.parameters["overrides"] == {"rate": 0.05}
    assert job.parameters["data"] == {"source": SHIPPED}


def test_a_job_begins_and_its_page_comes(at_work, trainer, django_capture_on_commit_callbacks, bells):
    with django_capture_on_commit_callbacks(execute=True):
        response = at_work.post("/jobs/new/", sent())
    job = Job.objects.get()
    assert (response.status_code, response["Location"]) == (302, f"/jobs/{job.pk}/")
    assert (job.name, job.owner, job.kind) == ("Mine", trainer, "retrieval")
    assert bells == [str(job.pk)]


def test_a_double_click_makes_one_job(at_work):
    first, second = at_work.post("/jobs/new/", sent()), at_work.post("/jobs/new/", sent())
    assert first["Location"] == second["Location"]
    assert Job.objects.count() == 1


def test_a_form_sent_again_with_other_values_gets_a_new_key(at_work):
    at_work.post("/jobs/new/", sent())
    response = at_work.post("/jobs/new/", sent(preset="cpu"))
    assert response.status_code == 422
    html = response.content.decode()
    assert "sent before with other values" in html
    key = re.search(r'name="key" value="([^"]+)"', html).group(1)
    assert key != "k1"
    assert at_work.post("/jobs/new/", sent(preset="cpu", key=key)).status_code == 302
    assert Job.objects.count() == 2


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"data.train": ""}, "data.train", "Choose a data set."),
        ({"data.train": "gone.tsv"}, "data.train", "no data set “gone.tsv” any more"),
        ({"set.seed": "many"}, "set.seed", "is not a value of"),
        ({"preset": "huge"}, "preset", "Select a valid choice"),
    ],
)
def test_errors_stand_beside_their_fields_and_values_stay(at_work, changes, field, words):
    response = at_work.post("/jobs/new/", sent(**changes))
    assert response.status_code == 422
    html = response.content.decode()
    place = re.search(
        rf'<div class="field faulty">(?:(?!</div>).)*name="{re.escape(field)}".*?</div>', html, re.DOTALL
    )
    assert place is not None
    assert words in place.group()
    assert 'aria-invalid="true"' in place.group()
    assert 'value="Mine"' in html
    assert not Job.objects.exists()


def test_every_wrong_parameter_is_told_at_once_and_they_stand_open(at_work):
    values = {"kind": "monge", "data.source": SHIPPED, "set.steps": "0", "set.rate": "fast"}
    html = at_work.post("/jobs/new/", values).content.decode()
    assert "It is at least 1." in html
    assert "It is a number" in html
    assert 'id="options" open' in html
    assert 'value="fast"' in html


def test_a_clone_is_filled_in_and_remembers_where_it_comes_from(at_work, page, make):
    data = {"train": SHIPPED}
    parameters = {"data": data, "preset": "small", "overrides": {"seed": 7}}
    old = make("done", kind="retrieval", name="First", parameters=parameters)
    html = page(f"/jobs/new/?from={old.pk}")
    assert re.search(r'name="set\.seed" value="7"', html)
    assert re.search(rf'<option value="{SHIPPED}" selected', html)
    assert re.search(r'<option value="small" selected', html)
    at_work.post("/jobs/new/", sent(**{"from": str(old.pk), "set.seed": "8"}))
    new = Job.objects.exclude(pk=old.pk).get()
    assert new.parent == old
    assert new.parameters["overrides"] == {"seed": 8}


def test_a_version_to_measure_is_chosen_by_name(at_work, page, version):
    row = version()
    html = page(f"/jobs/new/?kind=evaluation&version={row.pk}")
    assert re.search(rf'<option value="{row.pk}" selected>monge v1', html)
    at_work.post("/jobs/new/", {"kind": "evaluation", "version": str(row.pk), "data.pairs": SHIPPED})
    assert Job.objects.get().parameters["version"] == row.pk


def test_the_outlook_says_what_waits_and_who_listens(page, make):
    assert "No worker listens" in page(FORM)
    make("queued", kind="retrieval")
    make("running", kind="retrieval")
    from django.utils import timezone

    now = timezone.now()
    Worker.objects.create(name="node7:41", queues=["training"], started=now, seen=now)
    html = page(FORM)
    assert "1 waiting and 1 running" in html
    assert "1 worker listens" in html
    assert "Start, behind 1 waiting" in html
    assert "first of its kind" in html
    make("done", kind="retrieval")
    html = page(FORM)
    assert "usually take 4 min" in html
    assert "begin in about 5 min" in html  # four minutes for the one that waits, one for the one that runs


def test_too_many_open_jobs_are_refused_with_the_form_kept(at_work, make, trainer, settings):
    settings.FERRY_JOBS_PER_USER = 1
    make("queued", owner=trainer)
    response = at_work.post("/jobs/new/", sent())
    assert response.status_code == 429
    assert 'value="Mine"' in response.content.decode()


def test_a_new_kind_needs_no_page_of_its_own(at_work, page, monkeypatch):
    @dataclass(frozen=True)
    class Counting:
        """Count."""

        upto: int
        word: str = "one"

    kind = kinds.Kind("count", "training", Counting, "nowhere:run", "Counting", "Counts.", internal=False)
    monkeypatch.setitem(kinds.KINDS, "count", kind)
    html = page("/jobs/new/?kind=count")
    assert 'type="number" name="upto"' in html
    assert 'name="word" value="one"' in html
    assert at_work.post("/jobs/new/", {"kind": "count", "upto": "x", "word": ""}).status_code == 422
    at_work.post("/jobs/new/", {"kind": "count", "upto": "12", "word": "two"})
    assert Job.objects.get().parameters == {"upto": 12, "word": "two"}


def test_a_forged_form_is_refused(trainer):
    client = Client(enforce_csrf_checks=True)
    client.force_login(trainer)
    assert client.post("/jobs/new/", sent()).status_code == 403
    assert not Job.objects.exists()
