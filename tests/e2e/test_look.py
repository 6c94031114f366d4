"""Light and dark, narrow and wide, with keys alone and without scripts."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PHONE = {"viewport": {"width": 390, "height": 844}}
LIGHT, DARK = "rgb(251, 250, 247)", "rgb(19, 23, 24)"


def ground(page) -> str:
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


def test_the_theme_follows_the_system_and_a_choice_is_kept(open_page):
    assert ground(open_page("/", color_scheme="dark")) == DARK
    page = open_page("/", color_scheme="light")
    assert ground(page) == LIGHT
    page.get_by_role("button", name="Switch between light and dark").click()
    assert ground(page) == DARK
    page.goto("/?q=aspirin")
    assert ground(page) == DARK
    expect(page.locator("[data-result] img.in-dark").first).to_be_visible()
    expect(page.locator("[data-result] img.in-light").first).to_be_hidden()


def test_drawings_grow_with_the_slider_and_stay_so(open_page):
    page = open_page("/?q=alcohol", viewport={"width": 1400, "height": 900})
    before = page.locator("[data-result]").first.bounding_box()["width"]
    page.get_by_label("Size of the drawings").fill("2")
    after = page.locator("[data-result]").first.bounding_box()["width"]
    assert after > before
    page.reload()
    assert page.locator("[data-result]").first.bounding_box()["width"] == after


@pytest.mark.parametrize(
    "path", ["/", "/?q=alcohol", "/?q=C1CC", "/lookup/", "/libraries/", "/basket/", "/help/", "/compare/"]
)
def test_a_phone_never_scrolls_sideways(open_page, path):
    page = open_page(path, **PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_phone_shows_a_molecule_without_scrolling_sideways(open_page):
    page = open_page("/?q=alcohol", **PHONE)
    page.locator("[data-open]").first.click()
    page.get_by_label("See how words fit it").fill("a long question with many small words to be carried over")
    page.get_by_role("button", name="Explain").click()
    page.get_by_text("The same in numbers").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_with_keys_alone(open_page):
    page = open_page("/")
    page.keyboard.press("Tab")
    page.locator("body").press("Escape")
    page.locator("#main").focus()
    page.keyboard.press("/")
    expect(page.locator("#q")).to_be_focused()
    page.keyboard.type("a rosy alcohol")
    page.keyboard.press("Enter")
    expect(page.locator("[data-result]").first).to_be_visible()
    expect(page.locator("#announce")).to_contain_text(" of ")
    page.locator("#main").focus()
    page.keyboard.press("j")
    expect(page.locator("[data-open]").nth(0)).to_be_focused()
    page.keyboard.press("j")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("k")
    expect(page.locator("[data-open]").nth(1)).to_be_focused()
    page.keyboard.press("b")
    expect(page.locator("[data-basket-count]")).to_have_text("1")
    page.keyboard.press("b")
    expect(page.locator("[data-basket-count]")).to_have_text("")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    second = page.locator("[data-open]").nth(1)
    second.focus()
    assert second.evaluate("link => getComputedStyle(link).outlineStyle") == "solid"
    name = second.inner_text()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(name)


def test_the_first_tab_skips_to_the_content(open_page):
    page = open_page("/help/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


def test_a_name_is_completed_with_the_arrow_keys(open_page):
    page = open_page("/")
    box = page.locator("#q")
    box.press_sequentially("gerani")
    option = page.get_by_role("option").first
    expect(option).to_be_visible()
    expect(box).to_have_attribute("aria-expanded", "true")
    box.press("ArrowDown")
    expect(option).to_have_attribute("aria-selected", "true")
    box.press("Enter")
    expect(page.locator("[data-open]").first).to_have_text("geraniol")


def test_shift_enter_makes_a_line_and_enter_searches(open_page):
    page = open_page("/")
    box = page.locator("#q")
    box.press_sequentially("rose")
    box.press("Shift+Enter")
    box.press_sequentially("oil")
    expect(box).to_have_value("rose\noil")


def test_without_scripts_everything_still_works(open_page):
    page = open_page("/", java_script_enabled=False)
    page.locator("#q").fill("alcohol")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("[data-result]").first).to_be_visible()
    assert page.url.endswith("/?q=alcohol")
    page.locator("[data-pick]").nth(0).check()
    page.locator("[data-pick]").nth(1).check()
    page.get_by_role("button", name="Put the ticked ones into the basket").click()
    expect(page.locator("[data-basket-row]")).to_have_count(2)
    page.go_back()
    page.locator("[data-open]").first.click()
    page.get_by_label("See how words fit it").fill("a rosy alcohol")
    page.get_by_role("button", name="Explain").click()
    expect(page.locator(".plan-drawing .ribbons path").first).to_be_visible()
    page.locator(".words a").nth(1).click()
    expect(page).to_have_url(re.compile("word=1"))


def test_motion_is_left_out_where_it_is_not_wanted(open_page):
    page = open_page("/", reduced_motion="reduce")
    assert page.evaluate("getComputedStyle(document.querySelector('.bone i')).animationName") == "none"
