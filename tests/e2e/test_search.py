"""Search → result → explanation → export, as a person does it."""

from __future__ import annotations

import contextlib
import csv
import re
from pathlib import Path

import pytest
from playwright.sync_api import Error, Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

ROSES = "a monoterpenoid alcohol that smells of roses"
ETHANOL = (
    "\n  drawn\n\n  3  2  0  0  0  0            999 V2000\n"
    "    0.0000    0.0000    0.0000 C   0  0\n    1.2990    0.7500    0.0000 C   0  0\n"
    "    2.5981   -0.0000    0.0000 O   0  0\n  1  2  1  0\n  2  3  1  0\nM  END\n"
)


def ask(page: Page, text: str) -> None:
    """Type into the box, search, and wait for the answer."""
    page.locator("#q").fill(text)
    page.get_by_role("button", name="Search").click()
    expect(page.locator("#page")).not_to_have_class(re.compile("htmx-request"))
    expect(page.locator("#count, #problem").first).to_be_visible()


def names(page: Page) -> list[str]:
    """Names of the results, in order."""
    return page.locator("[data-open]").all_inner_texts()


def test_from_a_sentence_to_a_file(open_page, tmp_path: Path):
    page = open_page("/")
    ask(page, ROSES)
    assert "q=a+monoterpenoid" in page.url
    assert "geraniol" in names(page)
    expect(page.locator("#read-as")).to_contain_text("read as a")

    geraniol = page.locator("[data-result]", has=page.get_by_role("link", name="geraniol", exact=True)).first
    drawing = geraniol.locator("img.in-light")
    expect(drawing).to_be_visible()
    assert drawing.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    geraniol.get_by_role("checkbox").check()
    expect(page.locator("[data-basket-count]")).to_have_text("1")

    geraniol.get_by_role("link", name="Why this?").click()
    expect(page.get_by_role("heading", name="Why it was found")).to_be_visible()
    expect(page.get_by_role("checkbox")).to_be_checked()

    page.get_by_role("link", name=re.compile("Back to the results")).click()
    page.get_by_label("Which molecules").select_option("basket")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    saved = tmp_path / "basket.csv"
    download.value.save_as(saved)
    rows = list(csv.reader(saved.open(encoding="utf-8-sig")))
    assert len(rows) == 2
    assert "geraniol" in rows[1]


def test_a_typo_a_formula_and_a_structure(open_page):
    page = open_page("/?q=asprin")
    assert names(page)[0] == "aspirin"
    ask(page, "CC(C)Cc1ccc(cc1)C(C)C(=O)O")
    assert names(page)[0] == "ibuprofen" or "ibuprofen" in names(page)
    expect(page.locator(".asked img.in-light")).to_be_visible()


def test_every_example_can_be_followed(open_page):
    page = open_page("/")
    count = page.locator(".examples li a").count()
    assert count >= 5
    for at in range(count):
        page.goto("/")
        example = page.locator(".examples li a").nth(at)
        text = example.locator(".text").inner_text()
        example.click()
        expect(page.locator("[data-result]").first).to_be_visible()
        expect(page.locator("#q")).to_have_value(text)


def test_a_word_lights_its_atoms_and_a_group_its_words(open_page):
    page = open_page("/?q=aspirin")
    page.locator("[data-open]").first.click()
    page.get_by_label("See how words fit it").fill("a painkiller with an acid and an ester")
    page.get_by_role("button", name="Explain").click()
    drawing = page.locator("[data-drawing] .in-light svg")
    expect(drawing.locator(".halo")).to_have_count(0)
    page.locator(".words [data-word]").nth(1).hover()
    expect(drawing.locator(".halo circle").first).to_be_attached()
    expect(page.locator(".bank[data-word].lit")).to_have_count(1)
    page.locator(".bank[data-motif]").first.focus()
    expect(page.locator(".bank[data-motif].lit")).to_have_count(1)
    assert page.locator(".bank[data-word].linked").count() >= 1
    page.get_by_text("The same in numbers").click()
    expect(page.locator("table.heat")).to_be_visible()


@pytest.mark.parametrize("where", [".bank[data-word]", ".bank[data-motif]", ".heat th [role=button]"])
@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_a_key_keeps_a_part_lit_as_a_click_does(open_page, where, key):
    page = open_page("/?q=aspirin")
    page.locator("[data-open]").first.click()
    page.get_by_label("See how words fit it").fill("a painkiller with an ester")
    page.get_by_role("button", name="Explain").click()
    if "heat" in where:
        page.get_by_text("The same in numbers").click()
    part = page.locator(where).first
    part.focus()
    expect(part).to_have_attribute("aria-pressed", "false")
    page.keyboard.press(key)
    expect(part).to_have_attribute("aria-pressed", "true")
    part.blur()
    expect(page.locator(".bank.lit")).to_have_count(1)
    part.focus()
    page.keyboard.press(key)
    expect(part).to_have_attribute("aria-pressed", "false")
    part.blur()
    expect(page.locator(".bank.lit")).to_have_count(0)


def test_filters_are_in_the_address_and_come_off_as_chips(open_page):
    page = open_page("/?q=alcohol")
    page.get_by_label("Molecular weight, most").fill("130")
    page.get_by_label("Molecular weight, most").press("Tab")
    chip = page.get_by_role("link", name=re.compile("Molecular weight at most 130"))
    expect(chip).to_be_visible()
    assert "weight_max=130" in page.url
    weights = [
        float(text.split()[0].replace(",", ""))
        for text in page.locator(".facts").evaluate_all(
            "facts => facts.map(fact => fact.textContent.split('·')[1].trim())"
        )
    ]
    assert weights
    assert max(weights) <= 130
    chip.click()
    expect(chip).to_have_count(0)
    assert "weight_max" not in page.url
    page.go_back()
    expect(page.get_by_role("link", name=re.compile("Molecular weight at most 130"))).to_be_visible()


def test_the_basket_survives_paging_and_new_searches(open_page):
    page = open_page("/?q=alcohol&k=5")
    page.locator("[data-pick]").first.check()
    first = names(page)[0]
    page.get_by_role("link", name="Next").click()
    expect(page.locator("#count")).to_contain_text("6–10")
    page.locator("[data-pick]").first.check()
    ask(page, "caffeine")
    page.get_by_role("link", name="Basket").click()
    expect(page.locator("[data-basket-row]")).to_have_count(2)
    expect(page.get_by_role("link", name=first, exact=True)).to_be_visible()
    page.get_by_role("button", name=f"Take out {first}", exact=True).click()
    page.reload()
    expect(page.locator("[data-basket-row]")).to_have_count(1)


def test_two_hits_are_compared(open_page):
    page = open_page(f"/?q={ROSES.replace(' ', '+')}")
    page.locator("details.score summary").first.click()
    page.get_by_role("link", name="Why is this above the next one?").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(" or ")
    expect(page.get_by_role("heading", name="Word by word")).to_be_visible()


def test_a_pasted_molfile_becomes_a_short_address(open_page):
    page = open_page("/")
    ask(page, ETHANOL)
    assert page.url.endswith("?q=CCO")


def test_an_answer_that_comes_late_is_thrown_away(open_page):
    page = open_page("/")
    held = []
    page.route(re.compile(r"/\?q=caffeine"), lambda route: held.append(route))  # noqa: PLW0108  a bound builtin cannot be hooked
    page.locator("#q").fill("caffeine")
    page.get_by_role("button", name="Search").click()
    page.wait_for_timeout(200)
    assert held
    ask(page, "aspirin")
    with contextlib.suppress(Error):  # the browser may have given the request up already, as it should
        held[0].continue_()
    page.wait_for_timeout(300)
    assert names(page)[0] == "aspirin"
    assert "q=aspirin" in page.url


def test_the_bars_follow_the_filters_and_a_category_narrows_with_keys_alone(open_page):
    page = open_page("/?q=alcohol", viewport={"width": 1400, "height": 1000})
    weight = page.get_by_role("img", name=re.compile("^Molecular weight of the"))
    expect(weight).to_be_visible()
    before = weight.get_attribute("aria-label")
    page.get_by_label("Molecular weight, most").fill("200")
    page.get_by_label("Molecular weight, most").press("Tab")
    expect(page.locator("#count")).to_be_visible()
    expect(weight).not_to_have_attribute("aria-label", before)
    expect(page.get_by_label("Exact mass, least")).to_be_focused()
    category = page.get_by_role("list", name="Categories of what was found").get_by_role("link").first
    name = category.inner_text().strip()
    category.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name=re.compile(f"Remove filter: category {name}"))).to_be_visible()
    assert "category=" in page.url
    assert "weight_max=200" in page.url


def test_what_counts_as_the_same_is_chosen_and_kept(open_page):
    page = open_page("/?q=C%5BC%40H%5D(N)C(%3DO)O", viewport={"width": 1400, "height": 1000})
    page.get_by_role("radio", name="the same compound").focus()
    page.keyboard.press("ArrowDown")
    chip = page.get_by_role("link", name=re.compile("Remove filter: any salt, charge or solvate"))
    expect(chip).to_be_visible()
    assert "same=parent" in page.url
    expect(page.get_by_role("radio", name=re.compile("the same parent"))).to_be_focused()
    page.get_by_text("This search as code").click()
    expect(page.locator("#as-curl")).to_contain_text("same=parent")
    page.reload()
    expect(page.get_by_role("radio", name=re.compile("the same parent"))).to_be_checked()
    chip.click()
    expect(chip).to_have_count(0)
    assert "same" not in page.url


def test_shown_hits_go_out_with_rank_and_score(open_page, tmp_path: Path):
    page = open_page("/?q=alcohol&k=5&offset=5")
    shown = names(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    saved = tmp_path / "shown.csv"
    download.value.save_as(saved)
    rows = list(csv.DictReader(saved.open(encoding="utf-8-sig")))
    assert len(rows) == len(shown) == 5
    if "Rank" in rows[0]:  # the small door of the page tests writes names alone
        assert [row["Name"] for row in rows] == shown
        assert [row["Rank"] for row in rows] == ["6", "7", "8", "9", "10"]
        scores = [float(row["Score"]) for row in rows]
        assert scores == sorted(scores, reverse=True)


def test_the_filters_of_a_phone_stay_as_they_were_left(open_page):
    page = open_page("/?q=alcohol&weight_max=300", viewport={"width": 390, "height": 844})
    panel = page.locator("#filters")
    expect(panel).not_to_have_attribute("open", "")
    panel.locator("summary").click()
    page.get_by_label("Rings, most").fill("1")
    page.get_by_label("Rings, most").press("Enter")
    expect(page.get_by_role("link", name=re.compile("Remove filter: Rings at most 1"))).to_be_visible()
    expect(panel).to_have_attribute("open", "")
