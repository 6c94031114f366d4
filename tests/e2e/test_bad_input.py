"""Bad input gets a sentence with a remedy, in the page, and the box keeps what was typed."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_broken_smiles_is_explained_and_can_be_mended(open_page):
    page = open_page("/?q=C1CC&read_as=smiles")
    problem = page.locator("#problem")
    expect(problem).to_be_visible()
    expect(page.locator("#q")).to_have_value("C1CC")
    page.locator("#q").fill("CCO")
    page.get_by_role("button", name="Search").click()
    expect(problem).to_have_count(0)
    expect(page.locator("#count")).to_be_visible()


def test_a_faulty_filter_is_marked(open_page):
    page = open_page("/?q=alcohol")
    page.get_by_label("Molecular weight, least").fill("heavy")
    page.get_by_label("Molecular weight, least").press("Enter")
    expect(page.locator("#problem")).to_contain_text("write a number")
    expect(page.get_by_label("Molecular weight, least")).to_have_value("heavy")
    expect(page.get_by_label("Molecular weight, least")).to_have_attribute("aria-invalid", "true")


@pytest.mark.parametrize(
    "text", ["🌹" * 40, "أحمر ورد", "<img src=x onerror=alert(1)>", "a " * 1200, "null\u0000byte"]
)
def test_strange_texts_get_an_answer_or_a_reason(open_page, text):
    page = open_page("/")
    page.locator("#q").fill(text)
    page.get_by_role("button", name="Search").click()
    expect(page.locator("#count, #problem").first).to_be_visible()


def test_an_unknown_address_leads_back(open_page):
    page = open_page("/no/such/page/")
    page.get_by_role("link", name="Back to the search").click()
    expect(page.locator("#q")).to_be_visible()


def test_a_server_that_fails_or_is_gone_is_told(open_page):
    page = open_page("/")
    page.route(re.compile(r"/\?q="), lambda route: route.fulfill(status=500, body="<h1>no</h1>"))
    page.locator("#q").fill("caffeine")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("#failure")).to_contain_text("could not answer (500)")
    page.unroute_all()
    page.route(re.compile(r"/\?q="), lambda route: route.abort())
    page.get_by_role("button", name="Search").click()
    expect(page.locator("#failure")).to_contain_text("cannot be reached")
    expect(page.locator("#q")).to_have_value("caffeine")
