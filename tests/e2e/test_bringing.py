"""A file is brought: its check is watched, stopped and done again, and ends in a report."""

from __future__ import annotations

import threading
import time

import pytest
from playwright.sync_api import expect

from workers import jobs, work
from workers.models import Job

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

TABLE = b"smiles,name\nCCO,ethanol\nC1CC,broken\nOCC,again\n"


@pytest.fixture
def worker(monkeypatch):
    """A worker that answers a bell once it is let, and has come to rest when the test ends."""
    let, threads = threading.Event(), []

    def perform(pk):
        let.wait(30)
        work.perform(pk)

    def ring(job):
        threads.append(threading.Thread(target=perform, args=[str(job.pk)]))
        threads[-1].start()

    monkeypatch.setattr(jobs, "ring", ring)
    yield let
    let.set()
    for thread in threads:
        thread.join()


def bring(page, name: str, content: bytes) -> None:
    page.locator("#file").set_input_files({"name": name, "mimeType": "text/csv", "buffer": content})
    page.get_by_role("button", name="Check the file").click()


@pytest.fixture
def shelf(open_page, member):
    """The libraries page of a member."""
    page = open_page("/accounts/log-in/?next=/libraries/")
    page.get_by_label("User name").fill("mia")
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Log in").click()
    return page


def test_a_check_is_watched_stopped_and_done_again(shelf, worker):
    bring(shelf, "in_house.csv", TABLE)
    expect(shelf.locator("#job")).to_contain_text("Waiting for a worker")
    shelf.get_by_role("button", name="Stop").focus()
    with shelf.expect_response("**/libraries/jobs/*/"):
        time.sleep(0.1)  # until the page has looked again by itself
    expect(shelf.get_by_role("button", name="Stop")).to_be_focused()
    shelf.keyboard.press("Enter")
    expect(shelf.locator("#job")).to_contain_text("Stopped.")
    shelf.get_by_role("button", name="Check it again").click()
    expect(shelf.locator("#job")).to_contain_text("Waiting for a worker")
    worker.set()
    expect(shelf.get_by_role("button", name="Import 1 molecule")).to_be_visible()
    expect(shelf.get_by_label("Name of the library")).to_have_value("in house")
    with shelf.expect_download() as mend:
        shelf.get_by_role("link", name="Download them, to mend").click()
    assert mend.value.suggested_filename == "in_house-refused.csv"
    assert Job.objects.get().state == "done"


def test_a_file_that_cannot_be_used_is_told_where_its_progress_was(shelf, worker):
    bring(shelf, "colours.csv", b"name,colour\na,red\n")
    expect(shelf.locator("#job")).to_contain_text("Waiting for a worker")
    worker.set()
    expect(shelf.locator("#problem")).to_contain_text("“colours.csv” has no column with structures")
    shelf.get_by_role("link", name="Choose another file").click()
    expect(shelf.get_by_role("button", name="Check the file")).to_be_visible()
