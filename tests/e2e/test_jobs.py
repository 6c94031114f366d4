"""Jobs in a browser: begun by a form, watched at work, stopped by keyboard; the list that looks again by itself."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass

import pytest
from playwright.sync_api import expect

from tests.webapp import fakes
from webapp.jobs import press
from workers import jobs, kinds, work
from workers.models import Job

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PHONE = {"viewport": {"width": 390, "height": 844}}
#: seconds from the moment a metric is logged until it stands in the page
SOON = 2.0


@dataclass(frozen=True)
class Counting:
    """How far to count."""

    upto: int = 1000


@pytest.fixture
def site(live_server, monkeypatch):
    """These pages need no model, so none is loaded."""
    fakes.install(monkeypatch)
    return live_server.url


class Desk:
    """A kind of work that measures what the test tells it to, and notes when."""

    def __init__(self) -> None:
        self.told = threading.Event()
        self.value = 0.0
        self.logged: dict[float, float] = {}

    def measure(self, value: float) -> None:
        """Have the work log this value now."""
        self.value = value
        self.told.set()

    def run(self, parameters, job, progress):
        """The work: a point whenever one is asked for, until it is stopped."""
        step = 0
        while not progress.stopping and step < parameters.upto:
            if self.told.wait(0.05):
                self.told.clear()
                step += 1
                progress.log(f"measured {self.value}")
                progress.update(step, parameters.upto, loss=self.value)
                self.logged[self.value] = time.monotonic()
        return {"stopped": True, "steps": step}


@pytest.fixture
def desk(monkeypatch):
    """The kind in the registry, and a worker for it in a thread."""
    made, threads = Desk(), []
    kind = kinds.Kind("count", "training", Counting, "x:y", "Counting", "Counts.", internal=False)
    monkeypatch.setitem(kinds.KINDS, "count", kind)
    monkeypatch.setattr(kinds.Kind, "load", lambda kind: made.run)

    def ring(job):
        threads.append(threading.Thread(target=work.perform, args=[str(job.pk)]))
        threads[-1].start()

    monkeypatch.setattr(jobs, "ring", ring)
    yield made
    for job in Job.objects.filter(state__in=Job.OPEN):
        jobs.stop(job)
    for thread in threads:
        thread.join()
    press.close()


@pytest.fixture
def at_work(open_page, trainer):
    """``at_work("/jobs/", **context options)``: a trainer's page there."""

    def log_in(path, **options):
        page = open_page(f"/accounts/log-in/?next={path}", **options)
        page.get_by_label("User name").fill("theo")
        page.get_by_label("Password").fill("correct horse battery")
        page.get_by_role("button", name="Log in").click()
        return page

    return log_in


def begin(page) -> None:
    """Fill in and send the form."""
    page.get_by_label("Name").fill("Up to a thousand")
    page.get_by_role("button", name="Start").click()
    expect(page.locator(".state")).to_have_text(re.compile("queued|starting|running"))


def shown_after(page, desk, value: float, place: str) -> float:
    """Seconds from logging ``value`` until ``place`` shows it."""
    desk.measure(value)
    expect(page.locator(place)).to_have_text(str(value), timeout=10_000)
    return time.monotonic() - desk.logged[value]


def test_a_metric_is_shown_soon_after_it_was_logged_and_stop_works_by_keyboard(at_work, desk):
    page = at_work("/jobs/new/%3Fkind=count")
    begin(page)
    for value in (0.75, 0.5, 0.25):
        assert shown_after(page, desk, value, '[data-metric="loss"]') < SOON
    expect(page.locator('[data-chart="loss"] svg')).to_have_attribute("aria-label", "loss: 0.25 at step 3.")
    expect(page.locator("pre.log")).to_contain_text("measured 0.25")
    page.get_by_role("button", name="Stop").focus()
    assert shown_after(page, desk, 0.125, '[data-metric="loss"]') < SOON
    expect(page.get_by_role("button", name="Stop")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".state")).to_have_text(re.compile("stopped"))
    expect(page.locator(".sentence")).to_contain_text("Stopped by theo.")
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    assert Job.objects.get().state == "stopped"


def test_a_resumed_job_is_watched_on_the_same_page_with_its_gap_marked(at_work, desk):
    page = at_work("/jobs/new/%3Fkind=count")
    begin(page)
    shown_after(page, desk, 0.75, '[data-metric="loss"]')
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    expect(page.locator(".state")).to_have_text(re.compile("starting|running"))
    desk.measure(0.5)  # its first step replaces that of the first attempt
    page.get_by_role("link", name="time").click()
    expect(page).to_have_url(re.compile("x=time"))
    expect(page.locator('[data-chart="loss"] svg')).to_have_attribute(
        "aria-label", re.compile(r"0\.5 at \d+ s")
    )


def test_without_an_event_stream_the_page_looks_by_itself(at_work, desk):
    page = at_work("/jobs/new/%3Fkind=count")
    page.add_init_script("delete window.EventSource")
    begin(page)
    desk.measure(0.75)
    expect(page.locator('[data-metric="loss"]')).to_have_text("0.75")


def test_a_double_click_begins_one_job(at_work, desk):
    page = at_work("/jobs/new/%3Fkind=count")
    page.get_by_role("button", name="Start").dblclick()
    expect(page.locator(".state")).to_be_visible()
    assert Job.objects.count() == 1


def test_the_list_looks_again_and_keeps_ticks_and_focus(at_work, desk):
    job = Job.objects.create(kind="count", queue="training", name="Cells", parameters={"upto": 5})
    page = at_work("/jobs/")
    tick = page.get_by_label("Tick Cells")
    tick.focus()
    page.keyboard.press("Space")
    expect(page.get_by_text("With the 1 ticked:")).to_be_visible()
    page.evaluate("document.querySelector('#jobs tbody tr').id = 'untouched'")
    with page.expect_response(re.compile(r"/jobs/\?")):
        pass  # it looks; nothing has changed, so nothing is swapped but the first time
    with page.expect_response(re.compile(r"/jobs/\?")):
        jobs.stop(job)
    expect(page.locator(".state")).to_have_text(re.compile("stopped"))
    expect(tick).to_be_checked()
    expect(tick).to_be_focused()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("1 job queued again.")).to_be_visible()


def test_a_changed_preset_keeps_what_was_filled_in(at_work):
    page = at_work("/jobs/new/%3Fkind=monge")
    page.get_by_label("Name").fill("Cells")
    page.get_by_text("Change parameters").click()
    steps = page.locator('[name="set.steps"]')
    expect(steps).to_have_attribute("placeholder", "8000")
    page.locator('[name="set.rate"]').fill("0.05")
    page.get_by_label("Preset").select_option("small")
    expect(steps).to_have_attribute("placeholder", "1500")
    expect(steps).to_be_visible()
    expect(page.locator('[name="set.rate"]')).to_have_value("0.05")
    expect(page.get_by_label("Name")).to_have_value("Cells")


@pytest.mark.parametrize(
    "path", ["/jobs/", "/jobs/new/", "/jobs/new/%3Fkind=monge", "/jobs/data/", "/models/"]
)
def test_a_phone_never_scrolls_sideways(at_work, path):
    name = "A name that is rather long for so small a screen, and-one-word-that-cannot-be-broken-well"
    Job.objects.create(kind="monge", queue="training", name=name, parameters={})
    page = at_work(path, **PHONE)
    expect(page.locator("h1")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_it_works_without_scripts(at_work, desk):
    page = at_work("/jobs/new/%3Fkind=count", java_script_enabled=False)
    begin(page)
    desk.measure(0.75)
    time.sleep(1)
    page.get_by_role("link", name="Look again").click()
    expect(page.locator('[data-metric="loss"]')).to_have_text("0.75")
    page.get_by_role("link", name="Draw the curves").click()
    expect(page.locator('[data-chart="loss"] svg')).to_have_attribute("aria-label", "loss: 0.75 at step 1.")
