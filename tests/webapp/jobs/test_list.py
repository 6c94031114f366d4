"""The list of jobs: what it shows, how it is narrowed, what is done to many at once, how much it asks the database."""

from __future__ import annotations

import re

import pytest

from workers.models import AuditEntry, Job


def names(html: str) -> list[str]:
    """The jobs of the table, in order."""
    return re.findall(r'id="open-[^"]+">([^<]+)</a>', html)


def test_an_empty_list_offers_a_worked_example(page):
    html = page("/jobs/")
    assert "No job yet" in html
    form = page(re.search(r'href="(/jobs/new/\?kind=retrieval[^"]+)"', html).group(1).replace("&amp;", "&"))
    assert 'value="First training"' in form
    assert re.search(r'<option value="ferry/catalogue.tsv" selected', form)


@pytest.mark.parametrize(
    ("state", "silent", "word"),
    [
        ("queued", False, "queued"),
        ("running", False, "running"),
        ("running", True, "lost contact"),
        ("stopping", False, "stopping"),
        ("done", False, "done"),
        ("failed", False, "failed"),
        ("stopped", False, "stopped"),
        ("lost", False, "lost"),
    ],
)
def test_every_state_is_a_word_with_a_mark(page, make, state, silent, word):
    make(state, silent=silent, name="Cells")
    assert re.search(rf'class="sign" aria-hidden="true">\S+</span> {word}</span>', page("/jobs/"))


def test_it_can_be_narrowed_by_state_kind_owner_and_text(page, make, trainer, member):
    mine = make("running", name="Mine", owner=trainer)
    make("done", name="Cells of Mia", owner=member)
    make("queued", kind="retrieval", name="Text", owner=member)
    assert set(names(page("/jobs/?state=open"))) == {"Mine", "Text"}
    assert names(page("/jobs/?state=done")) == ["Cells of Mia"]
    assert names(page("/jobs/?kind=retrieval")) == ["Text"]
    assert names(page("/jobs/?mine=1")) == ["Mine"]
    assert names(page("/jobs/?text=cells")) == ["Cells of Mia"]
    assert names(page(f"/jobs/?text={str(mine.pk)[:8]}")) == ["Mine"]
    assert set(names(page("/jobs/?text=mia"))) == {"Cells of Mia", "Text"}
    assert "No job fits" in page("/jobs/?text=nothing+of+that+name")
    assert "is not one of the available choices" in page("/jobs/?state=dancing")


def test_pages_of_fifty_with_counts_that_close(page, make):
    for number in range(53):
        make("done", name=f"job {number}")
    first, last = page("/jobs/"), page("/jobs/?page=2")
    assert "1–50 of 53 jobs" in first
    assert "51–53 of 53 jobs" in last
    assert len(set(names(first) + names(last))) == 53
    assert "51–53 of 53" in page("/jobs/?page=9")  # the last there is


def test_the_number_of_queries_does_not_grow_with_jobs_or_points(
    at_work, make, trainer, django_assert_max_num_queries
):
    states = ("queued", "running", "done", "failed", "stopped")
    for number in range(50):
        make(states[number % 5], points=4, owner=trainer, log_tail="a line")
    with django_assert_max_num_queries(8) as asked:
        assert at_work.get("/jobs/").status_code == 200
    assert not [query for query in asked.captured_queries if "workers_point" in query["sql"]]


def test_htmx_gets_the_table_alone(page, make):
    make("running", name="Cells")
    html = page("/jobs/", headers={"HX-Request": "true"})
    assert "<html" not in html
    assert names(html) == ["Cells"]


def test_many_are_stopped_at_once_and_the_others_are_named(at_work, make, trainer):
    running, queued, done = make("running"), make("queued"), make("done", name="Cells")
    sent = {"action": "stop", "job": [str(job.pk) for job in (running, queued, done)], "query": "?kind=monge"}
    response = at_work.post("/jobs/bulk/", sent, follow=True)
    assert response.redirect_chain == [("/jobs/?kind=monge", 302)]
    html = response.content.decode()
    assert "2 jobs asked to stop" in html
    assert "“Cells” is done." in html
    assert dict(Job.objects.values_list("pk", "state")) == {
        running.pk: "stopping",
        queued.pk: "stopped",
        done.pk: "done",
    }
    assert Job.objects.get(pk=running.pk).ended_by == trainer.username
    assert AuditEntry.objects.filter(verb="stop", who="theo").count() == 2


def test_many_are_resumed(at_work, make, bells):
    stopped = make("stopped")
    at_work.post("/jobs/bulk/", {"action": "resume", "job": [str(stopped.pk)]})
    assert Job.objects.get().state == "queued"


def test_a_deletion_asks_once_more_with_the_size(at_work, make, settings):
    done, running = make("done", name="Old"), make("running", name="Busy")
    folder = settings.FERRY_DATA / "jobs" / str(done.pk)
    folder.mkdir(parents=True)
    (folder / "weights").write_bytes(b"\0" * 5_000)
    sent = {"action": "delete", "job": [str(done.pk), str(running.pk)]}
    html = at_work.post("/jobs/bulk/", sent).content.decode()
    assert "5.0 kB of files" in html
    assert re.search(r"Still open, so left as they are: *Busy", html)
    assert Job.objects.count() == 2
    at_work.post("/jobs/bulk/", {**sent, "job": [str(done.pk)], "sure": "1"})
    assert list(Job.objects.all()) == [running]
    assert not folder.exists()


def test_nothing_ticked_and_unknown_actions_are_said(at_work, make):
    assert "nothing was done" in at_work.post("/jobs/bulk/", {"action": "stop"}, follow=True).content.decode()
    assert at_work.post("/jobs/bulk/", {"action": "paint"}).status_code == 422
