"""The decoding page in a browser: streaming, stopping, cards, keys, links, a phone, no scripts."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.webapp import decoding_fakes

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PAGE = "/decoding/"
PHONE = {"viewport": {"width": 390, "height": 844}}
LANES = "&m1=autoregressive&m2=speculative&m3=spectr&seed=7"
ASKED = f"{PAGE}?task=molecule&prompt=an+ester{LANES}"
FINISHED = f"{ASKED}&run=1"


@pytest.fixture
def door(monkeypatch):
    return decoding_fakes.install(monkeypatch)


@pytest.fixture
def held(door):
    """The door lets one token through at a time, when it is told to."""
    door.hold()
    return door


def finished(page):
    expect(page.locator('[data-state="done"]')).to_have_count(3)
    expect(page.locator("#speeds-title")).to_be_visible()


def test_lanes_are_streamed_one_after_another(held, open_page):
    page = open_page(ASKED)
    page.get_by_role("button", name="Run", exact=True).click()
    first, second = page.locator('[data-lane="0"]'), page.locator('[data-lane="1"]')
    held.release(2)
    expect(first.locator(".token")).to_have_count(2)
    expect(first).to_have_attribute("data-state", "writing")
    expect(second).to_have_attribute("data-state", "waiting")
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    held.release(4)
    expect(first).to_have_attribute("data-state", "done")
    expect(second).to_have_attribute("data-state", "writing")
    held.release()
    finished(page)
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()
    expect(page.locator('[data-lane="2"] [data-speed]')).to_contain_text("1.9×")
    expect(second.locator(".slower")).to_contain_text("only 31 % of the drafted tokens")
    expect(second.locator("img.in-light")).to_be_visible()
    expect(page.locator("#announce")).to_contain_text("All answers are there.")


def ended(door, told):
    """The door stops at one of the next tokens: a threaded server hears of a closed connection when it writes twice."""
    for _ in range(3):
        time.sleep(1)
        if door.stopped:
            break
        door.release(1)
    time.sleep(1)
    assert door.told <= told + 2
    door.release()
    time.sleep(1)
    assert door.told <= told + 2


@pytest.mark.parametrize("how", ["button", "key"])
def test_stopping_stops_within_a_token(held, open_page, how):
    page = open_page(ASKED)
    page.get_by_role("button", name="Run", exact=True).click()
    held.release(2)
    expect(page.locator('[data-lane="0"] .token')).to_have_count(2)
    told = held.told
    if how == "button":
        page.get_by_role("button", name="Stop").click()
    else:
        page.keyboard.press("Escape")
    expect(page.locator('[data-lane="0"] [data-now]')).to_have_text("stopped after 2 tokens")
    expect(page.locator('[data-lane="1"] [data-now]')).to_have_text("stopped")
    expect(page.get_by_role("button", name="Run", exact=True)).to_be_enabled()
    ended(held, told)
    assert page.locator("[data-tokens] .token").count() == 2


def test_closing_the_tab_stops_the_door(held, open_page):
    page = open_page(FINISHED)
    held.release(1)
    expect(page.locator('[data-lane="0"] .token')).to_have_count(1)
    told = held.told
    page.close()
    ended(held, told)


def test_a_second_run_takes_the_place_of_the_first(held, open_page):
    page = open_page(ASKED)
    page.locator("#prompt").press("Enter")
    held.release(1)
    expect(page.locator('[data-lane="0"] .token')).to_have_count(1)
    page.keyboard.press("Escape")
    held.release()
    page.locator("#prompt").fill("another")
    page.locator("#prompt").press("Enter")
    finished(page)
    expect(page.locator(".asked-as")).to_contain_text("another")
    expect(page.locator('[data-lane="0"] [data-tokens] .token')).to_have_count(5)


def test_a_card_says_what_else_was_likely(door, open_page):
    page = open_page(FINISHED)
    finished(page)
    card = page.locator("#token-card")
    page.locator('[data-lane="1"] .token.accepted').first.hover()
    expect(card).to_be_visible()
    expect(card).to_contain_text("drafted by the small model, and accepted")
    expect(card.locator("caption")).to_have_text(["Target model", "Draft model"])
    expect(card.locator("tr.this")).to_have_count(2)
    expect(card).to_contain_text("<b>")
    page.locator("h1").hover()
    expect(card).to_be_hidden()


def test_tokens_are_walked_with_the_keys(door, open_page):
    page = open_page(FINISHED)
    finished(page)
    tokens = page.locator('[data-lane="1"] .token')
    tokens.first.focus()
    card = page.locator("#token-card")
    expect(card).to_contain_text("CC")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(tokens.nth(2)).to_be_focused()
    expect(card).to_contain_text("in place of a refused draft")
    page.keyboard.press("End")
    expect(tokens.last).to_be_focused()
    page.keyboard.press("Escape")
    expect(card).to_be_hidden()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    expect(tokens.last).to_be_focused()
    expect(tokens.last).to_have_attribute("aria-describedby", "token-card")


def test_refused_drafts_are_shown_on_demand(door, open_page):
    page = open_page(FINISHED)
    finished(page)
    refused = page.locator('[data-lane="1"] .refused')
    expect(refused).to_be_hidden()
    page.get_by_label("show refused drafts").check()
    expect(refused).to_be_visible()
    expect(refused).to_have_text("[Na+]N#N")


def test_the_address_of_a_run_leads_back_to_it(door, open_page):
    page = open_page(ASKED)
    page.locator("#prompt").press("Enter")
    finished(page)
    expect(page).to_have_url(re.compile("models=a1a1a1a1a1a1.b2b2b2b2b2b2.none&run=1"))
    assert len(door.asked) == 1
    page.reload()
    finished(page)
    assert door.asked[1] == {
        **door.asked[0],
        "lanes": door.asked[1]["lanes"],
        "sampling": door.asked[1]["sampling"],
    }
    page.locator("#prompt").fill("two")
    page.locator("#prompt").press("Enter")
    expect(page).to_have_url(re.compile("prompt=two"))
    finished(page)
    page.go_back()
    expect(page.locator("#prompt")).to_have_value("an ester")
    finished(page)


def test_a_run_is_downloaded_as_json(door, open_page):
    page = open_page(FINISHED)
    finished(page)
    with page.expect_download() as coming:
        page.get_by_role("link", name="Download this run").click()
    assert coming.value.suggested_filename == "decoding-7.json"
    record = json.loads(Path(coming.value.path()).read_text(encoding="utf-8"))
    assert len(record["lanes"]) == 3
    assert record["closed"]["comparison"]


def test_the_form_asks_what_the_choices_need(door, open_page):
    page = open_page(PAGE)
    page.locator("#prompt").fill("kept")
    page.locator("#m1").focus()
    page.locator("#m1").select_option("spectr")
    expect(page.locator("#m1_drafts")).to_have_value("4")
    expect(page.locator("#m1")).to_be_focused()
    page.get_by_role("button", name=re.compile("^Towards a reward")).click()
    expect(page.locator("#reward")).to_have_value("qed")
    expect(page.locator("#alpha")).to_have_value("0.1")
    slider = page.get_by_label("α on a logarithmic scale")
    slider.fill("0.5")
    expect(page.locator("#alpha")).to_have_value("3.2")
    page.locator("#alpha").fill("0.01")
    expect(slider).to_have_value("-2")
    page.get_by_text("Describe this molecule").click()
    expect(page.locator("#reward")).to_have_count(0)
    expect(page.locator("#prompt")).to_have_value("kept")


def test_reward_against_distance_is_drawn_when_asked(door, open_page):
    page = open_page(f"{PAGE}?prompt=x&m1=autoregressive&m2=best_of&m3=cd&reward=qed&alpha=0.1&run=1")
    expect(page.locator('[data-state="done"]')).to_have_count(3)
    page.get_by_role("button", name="Draw the plot").click()
    expect(page.locator("#frontier svg")).to_be_visible()
    page.get_by_text("The same in numbers").click()
    expect(page.locator("#frontier tbody tr")).to_have_count(5)


def test_a_faulty_value_is_explained_and_the_place_is_shown(door, open_page):
    page = open_page(ASKED)
    page.get_by_text("How tokens are drawn").click()
    page.locator("#temperature").fill("warm")
    page.locator("#prompt").press("Enter")
    expect(page.locator("#problem")).to_contain_text("'warm' is not a value of 'temperature'")
    expect(page.locator("#temperature")).to_be_focused()
    expect(page.locator("#temperature")).to_have_attribute("aria-invalid", "true")
    page.locator("#temperature").fill("1")
    page.locator("#prompt").press("Enter")
    finished(page)
    expect(page.locator("#problem")).to_have_count(0)


def test_a_server_that_is_gone_is_told(door, open_page):
    page = open_page(ASKED)
    page.route("**/decoding/stream/", lambda route: route.abort())
    page.locator("#prompt").press("Enter")
    expect(page.locator("#failure")).to_contain_text("The server cannot be reached")
    page.unroute("**/decoding/stream/")
    page.locator("#prompt").press("Enter")
    finished(page)
    expect(page.locator("#failure")).to_be_hidden()


def test_without_scripts_the_answer_is_a_page(door, open_page):
    page = open_page(ASKED, java_script_enabled=False)
    page.get_by_role("button", name="Run", exact=True).click()
    finished(page)
    expect(page.locator('[data-lane="1"] .token')).to_have_count(5)
    page.locator('[data-lane="1"] summary', has_text="Raw counts").click()
    expect(page.locator('[data-lane="1"] .counts td').first).to_have_text("5")
    page.get_by_label("show refused drafts").check()
    expect(page.locator('[data-lane="1"] .refused')).to_be_visible()
    page.locator("#m1").select_option("spectr")
    page.get_by_role("button", name="Show the settings of what I chose").click()
    expect(page.locator("#m1_drafts")).to_have_value("4")


@pytest.mark.parametrize("path", [PAGE, FINISHED, f"{PAGE}?prompt=broken{LANES}&m4=aligned&run=1"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_never_scrolls_sideways(door, open_page, path, scheme):
    page = open_page(path, color_scheme=scheme, **PHONE)
    if path != PAGE:
        expect(page.locator("#speeds-title")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_search_and_decoding_lead_to_each_other(door, open_page):
    page = open_page("/?q=an+alcohol+that+smells+of+roses")
    page.get_by_role("link", name="Suggest molecules for this text").click()
    expect(page.locator("#prompt")).to_have_value("an alcohol that smells of roses")
    expect(page.locator('[data-state="done"]')).to_have_count(3)
    page.get_by_role("link", name="Look for this molecule").first.click()
    expect(page.locator("#read-as")).to_be_visible()
    page.go_back()
    page.goto("/?q=aspirin")
    page.locator("[data-open]").first.click()
    page.get_by_role("link", name="Describe this molecule").click()
    expect(page.locator("#prompt")).to_have_value(re.compile("c1ccccc1"))
    expect(page.locator('[data-lane="0"] .token').first).to_be_visible()
