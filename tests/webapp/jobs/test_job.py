"""The page of a job in every state, and what is done to it there."""

from __future__ import annotations

import csv
import io
import re
import xml.etree.ElementTree as ET
from datetime import timedelta

import pytest
from django.utils import timezone

from workers.models import AuditEntry, Job, Worker

LOSS = "loss: 0.025 at step 40"


def words(html: str) -> str:
    """What the page says, without tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_one_that_waits_says_its_place_and_why(page, make):
    make("queued", name="Before")
    job = make("queued")
    said = words(page(f"/jobs/{job.pk}/"))
    assert "One job comes before it in the queue “training”" in said
    assert "No worker listens to this queue" in said
    now = timezone.now()
    Worker.objects.create(name="node7:41", queues=["training"], started=now, seen=now)
    assert "One worker listens to it" in words(page(f"/jobs/{job.pk}/"))


def test_one_that_is_tried_again_says_when_and_after_what(page, make):
    job = make("queued", error="The disk is full.", not_before=timezone.now() + timedelta(minutes=2))
    assert "met a fault that may pass (The disk is full.)" in words(page(f"/jobs/{job.pk}/"))


def test_one_at_work_says_how_far_how_fast_and_what_it_uses(page, make):
    progress = {
        "done": 30,
        "total": 120,
        "rate": 1.5,
        "seconds_left": 60.0,
        "metrics": {"loss": 0.125, "epoch": 3.0},
        "resources": {"memory_mb": 512.0, "cpu_percent": 98.0},
    }
    job = make("running", progress=progress, log_tail="12:00:00 epoch 3")
    html = page(f"/jobs/{job.pk}/")
    said = words(html)
    assert "30 of 120" in said
    assert "1.5 a second" in said
    assert "time left 1 min" in said
    assert "loss 0.125" in said
    assert "Memory 512 MB" in said
    assert "12:00:00 epoch 3" in said
    assert f'action="/jobs/{job.pk}/stop/"' in html
    assert "Resume" not in html


def test_one_whose_worker_is_silent_says_since_when_and_what_will_happen(page, make):
    job = make("running", silent=True)
    said = words(page(f"/jobs/{job.pk}/"))
    assert "lost contact" in said
    assert re.search(r"worker node7:41 has given no sign of life since \d\d:\d\d:\d\d \(3 min", said)
    assert "queued again" in said
    assert "running" not in said.split("Parameters")[0].split("Where")[-1]


def test_one_that_stops_names_who_asked(page, make):
    assert "Asked to stop by ada" in words(page(f"/jobs/{make('stopping', ended_by='ada').pk}/"))
    job = make("stopped", ended_by="the watchdog: the time limit")
    html = page(f"/jobs/{job.pk}/")
    assert "Stopped by the watchdog: the time limit" in words(html)
    assert f'action="/jobs/{job.pk}/resume/"' in html


def test_one_that_failed_says_what_and_the_remedy(page, make):
    problem = {"message": "No.", "field": "dim", "remedy": "Give a whole number."}
    job = make("failed", error="'wide' is no <b>number</b>.", result={"problem": problem})
    html = page(f"/jobs/{job.pk}/")
    assert "&lt;b&gt;number" in html
    assert "Give a whole number." in html


def test_one_that_is_done_shows_its_result_and_versions(page, make, version):
    job = make("done", result={"l2_uvp": 1.25}, progress={"done": 120, "total": 120})
    row = version(job=job)
    html = page(f"/jobs/{job.pk}/")
    assert f'href="/models/{row.pk}/"' in html
    assert "1.25" in html
    assert "data-events" not in html


def test_parents_and_children_are_linked(page, make):
    old = make("done", name="Old")
    new = make("done", name="New", parent=old)
    assert f'href="/jobs/{old.pk}/">Old' in page(f"/jobs/{new.pk}/")
    assert f'href="/jobs/{new.pk}/">New' in page(f"/jobs/{old.pk}/")


def test_curves_are_svg_with_the_last_value_in_words(page, make):
    job = make("done", points=40)
    html = page(f"/jobs/{job.pk}/curves/")
    drawings = re.findall(r"<svg.*?</svg>", html, re.DOTALL)
    labels = [ET.fromstring(drawing).get("aria-label") for drawing in drawings]
    assert labels[0] == f"{LOSS}."
    assert labels[1] == "held_out_l2: 0.05 at step 40. held_out_gap: 0.075 at step 40."
    assert all("currentColor" in drawing or "var(--" in drawing for drawing in drawings)
    assert not re.search(r"<script|href=\"http|style>", "".join(drawings))


def test_the_axis_is_chosen_in_the_address(page, make):
    job = make("done", points=40)
    assert "loss: 0.025 at epoch 4." in page(f"/jobs/{job.pk}/curves/?x=epoch")
    assert "loss: 0.025 at 1 min 20 s." in page(f"/jobs/{job.pk}/curves/?x=time")
    assert LOSS in page(f"/jobs/{job.pk}/curves/?x=mood")


def test_a_gap_between_attempts_is_marked(page, make, measured):
    job = make("done", points=20)
    assert "taken up again" not in page(f"/jobs/{job.pk}/curves/")
    measured(job, 20, start=20, attempt=2)
    html = page(f"/jobs/{job.pk}/curves/")
    assert f"{LOSS}, taken up again at step 21." in html
    assert 'stroke-dasharray="3,3"' in html


def test_without_scripts_the_curves_are_in_the_page(page, make):
    job = make("done", points=40)
    assert LOSS not in page(f"/jobs/{job.pk}/")
    assert LOSS in page(f"/jobs/{job.pk}/?curves=1")


def test_a_job_without_measurements_says_so(page, make):
    assert "No curve yet" in page(f"/jobs/{make('running').pk}/curves/")


def test_all_points_come_as_csv(at_work, make):
    job = make("done", points=40)
    response = at_work.get(f"/jobs/{job.pk}/curves.csv")
    assert response["Content-Disposition"].startswith("attachment")
    rows = list(csv.DictReader(io.StringIO(response.content.decode())))
    assert len(rows) == 40
    assert list(rows[0]) == ["step", "epoch", "seconds", "attempt", "loss", "held_out_l2", "held_out_gap"]
    assert [float(row["loss"]) for row in rows] == [1 / step for step in range(1, 41)]
    one = at_work.get(f"/jobs/{job.pk}/curves.csv?chart=loss").content.decode()
    assert one.splitlines()[0] == "step,epoch,seconds,attempt,loss"


def test_a_chart_as_a_file_needs_no_page_around_it(at_work, make):
    job = make("done", points=40)
    svg = at_work.get(f"/jobs/{job.pk}/curves.svg?chart=held_out").content.decode()
    root = ET.fromstring(svg)
    assert float(root.get("width")) > 300
    assert "var(" not in svg
    assert at_work.get(f"/jobs/{job.pk}/curves.svg?chart=mood").status_code == 404
    assert at_work.get(f"/jobs/{job.pk}/curves.svg").status_code == 404


def test_it_is_stopped_resumed_and_deleted(at_work, make, settings):
    job = make("running")
    assert at_work.get(f"/jobs/{job.pk}/stop/").status_code == 405
    at_work.post(f"/jobs/{job.pk}/stop/")
    assert Job.objects.get().state == "stopping"
    assert at_work.get(f"/jobs/{job.pk}/delete/").status_code == 422
    Job.objects.filter(pk=job.pk).update(state="stopped", finished=timezone.now(), lease_until=None)
    at_work.post(f"/jobs/{job.pk}/resume/")
    assert Job.objects.get().state == "queued"
    at_work.post(f"/jobs/{job.pk}/stop/")
    folder = settings.FERRY_DATA / "jobs" / str(job.pk)
    folder.mkdir(parents=True)
    (folder / "weights").write_bytes(b"\0" * 1_500)
    assert "1.5 kB of files" in words(at_work.get(f"/jobs/{job.pk}/delete/").content.decode())
    at_work.post(f"/jobs/{job.pk}/delete/")
    assert not Job.objects.exists()
    assert not folder.exists()
    assert {entry.verb for entry in AuditEntry.objects.all()} >= {"stop", "resume", "delete"}


@pytest.mark.parametrize("number", ["00000000-0000-0000-0000-000000000000", "mine"])
def test_no_job_is_a_page_that_says_so(page, number):
    page(f"/jobs/{number}/", 404)


def test_the_page_asks_the_same_of_the_database_however_many_points(
    at_work, make, django_assert_max_num_queries
):
    job = make("running", points=300)
    with django_assert_max_num_queries(20):
        at_work.get(f"/jobs/{job.pk}/")
