"""The laboratory in a browser: drawing, comparing, keys, a phone, no scripts."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PAGE = "/transport/"
PHONE = {"viewport": {"width": 390, "height": 844}}
EMPTY = f"{PAGE}?source=points&target=points&solver=exact"


def stroke(page, *places):
    """Press at the first place, move over the others, lift; places are shares of the board."""
    box = page.locator("svg[data-board]").bounding_box()
    points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in places]
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point, steps=8)
    page.mouse.up()


def test_clouds_are_drawn_solved_erased_and_kept_in_the_address(open_page):
    page = open_page(EMPTY)
    stroke(page, (0.2, 0.2), (0.2, 0.7))
    expect(page).to_have_url(re.compile("source_points=2q"))
    page.get_by_text("Draw target").click()
    stroke(page, (0.7, 0.2), (0.7, 0.7))
    expect(page.locator('[data-status="converged"]')).to_be_visible()
    drawn = page.locator("svg[data-board] .targets rect").count()
    assert drawn > 3
    page.reload()
    expect(page.locator("svg[data-board] .targets rect")).to_have_count(drawn)
    page.get_by_text("Erase").click()
    stroke(page, (0.7, 0.2))
    expect(page.locator("svg[data-board] .targets rect")).to_have_count(drawn - 1)
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_text("Draw at least one source point")).to_be_visible()


def test_a_sampled_cloud_can_be_drawn_on(open_page):
    page = open_page(f"{PAGE}?source=grid&source_n=9&target=ring&target_n=9&solver=exact")
    stroke(page, (0.02, 0.05))
    expect(page.locator("#source")).to_have_value("points")
    expect(page.locator("svg[data-board] .sources circle")).to_have_count(10)


def test_a_change_is_solved_at_once_and_fields_stay_in_focus(open_page):
    page = open_page(f"{PAGE}?source=grid&source_n=9&target=ring&target_n=9&solver=sinkhorn")
    page.locator("#epsilon").fill("0.5")
    page.keyboard.press("Tab")
    expect(page).to_have_url(re.compile("epsilon=0.5"))
    page.locator("#with").select_option("exact")
    expect(page.locator("[data-difference]")).to_contain_text("of the mass on different links")
    expect(page.locator(".board svg")).to_have_count(2)


def test_a_faulty_value_is_explained_beside_the_board(open_page):
    page = open_page(f"{PAGE}?source=grid&source_n=9&target=ring&target_n=9&solver=sinkhorn")
    page.locator("#epsilon").fill("soft")
    page.keyboard.press("Enter")
    expect(page.locator("#problem")).to_contain_text("Give a number")
    expect(page.locator("#epsilon")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#epsilon")).to_have_value("soft")


def test_coordinates_can_be_typed_instead_of_drawn(open_page):
    page = open_page(EMPTY)
    page.locator("#source_points").fill("0 0\n1 0")
    page.locator("#target_points").focus()
    expect(page).to_have_url(re.compile("source_points=2q"))
    page.locator("#target_points").fill("0 1\n1 1")
    page.get_by_role("button", name="Solve").click()
    expect(page.locator('[data-quantity="cost"] td').first).to_have_text("1")


def test_files_are_uploaded_and_come_back(open_page, tmp_path):
    (tmp_path / "points.csv").write_text("x,y,weight\n0,0,1\n1,0,3\n")
    page = open_page(f"{PAGE}?source=grid&source_n=9&target=ring&target_n=9&solver=exact")
    page.locator("#source_upload summary").click()
    page.locator("#source_file").set_input_files(tmp_path / "points.csv")
    expect(page.locator("#source_points")).to_have_value("x1, x2, weight\n0, 0, 1\n1, 0, 3")
    with page.expect_download() as coming:
        page.get_by_role("link", name="Links (.csv)").click()
    assert coming.value.suggested_filename == "plan-links.csv"


def test_a_large_upload_can_be_taken_away_without_an_address(open_page, tmp_path):
    rows = "\n".join(f"{at * 0.1234567},{at % 7}" for at in range(400))
    (tmp_path / "points.csv").write_text(rows)
    page = open_page(f"{PAGE}?source=grid&source_n=9&target=ring&target_n=9&solver=exact")
    page.locator("#source_upload summary").click()
    page.locator("#source_file").set_input_files(tmp_path / "points.csv")
    expect(page.get_by_text("Too large for an address")).to_be_visible()
    with page.expect_download() as coming:
        page.get_by_role("button", name="Problem (.npz)").click()
    assert coming.value.suggested_filename == "problem.npz"


def test_a_formula_is_one_click_away(open_page):
    page = open_page(PAGE)
    row = page.locator('[data-quantity="fan_out"]')
    expect(row.locator(".formula")).to_be_hidden()
    row.locator("summary").click()
    expect(row.locator(".formula")).to_contain_text("exp(H(P)")


@pytest.mark.parametrize("path", [PAGE, EMPTY, f"{PAGE}?source=moons&target=ring&epsilon=soft"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_never_scrolls_sideways(open_page, path, scheme):
    page = open_page(path, color_scheme=scheme, **PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_map_is_watched_while_it_learns(open_page):
    page = open_page(f"{PAGE}?source=moons&source_n=60&target=ring&target_n=60&solver=exact")
    page.locator("#map_seconds").fill("3")
    page.get_by_role("button", name="Train a map").click()
    film = page.locator("[data-watch-film]")
    lattice = film.locator('[data-film="lattice"]')
    expect(lattice).to_have_attribute("d", re.compile("^M"))
    first = lattice.get_attribute("d")
    expect(lattice).not_to_have_attribute("d", first)
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    expect(page.locator("[data-watch-said]")).to_contain_text("Training ended")
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()
    expect(film.locator('[data-film-text="divergence"]')).to_have_text(re.compile("[0-9]"))


def test_a_training_can_be_stopped_and_a_faulty_value_is_explained(open_page):
    page = open_page(f"{PAGE}?source=moons&source_n=60&target=ring&target_n=60&solver=exact")
    page.get_by_role("button", name="Train a map").click()
    expect(page.locator('[data-film="lattice"]')).to_have_attribute("d", re.compile("^M"))
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("[data-watch-said]")).to_have_text("Training was stopped.")
    page.locator("#map_strength").fill("strong")
    page.get_by_role("button", name="Train a map").click()
    expect(page.locator("[data-watch-fault]")).to_contain_text("Give a number from 0 to 10")


def test_who_wants_no_motion_sees_the_end_of_a_training_alone(open_page):
    address = f"{PAGE}?source=moons&source_n=60&target=ring&target_n=60&solver=exact"
    page = open_page(address, reduced_motion="reduce")
    page.locator("#map_seconds").fill("2")
    page.get_by_role("button", name="Train a map").click()
    lattice = page.locator('[data-film="lattice"]')
    expect(page.locator('[data-film-text="step"]')).to_contain_text("steps")
    expect(lattice).to_have_attribute("d", "")
    expect(lattice).to_have_attribute("d", re.compile("^M"))
    expect(page.locator("[data-watch-said]")).to_contain_text("Training ended")


def test_a_map_without_scripts_is_a_page_of_its_own(open_page):
    page = open_page(
        f"{PAGE}?source=moons&source_n=60&target=ring&target_n=60&solver=exact", java_script_enabled=False
    )
    page.locator("#map_seconds").fill("1")
    page.get_by_role("button", name="Train a map").click()
    expect(page.locator('[data-film="lattice"]')).to_have_attribute("d", re.compile("^M"))
    page.get_by_role("link", name="Back to the laboratory").click()
    assert "source=moons" in page.url


def test_few_links_are_chosen_and_counted(open_page):
    page = open_page(f"{PAGE}?source=grid&source_n=16&target=ring&target_n=16&solver=quadratic")
    page.locator("#solver").select_option("sparse")
    page.locator("#k").fill("1")
    page.keyboard.press("Tab")
    expect(page.locator('[data-quantity="links_row"] td').first).to_have_text("1")
    expect(page.locator('[data-support="source"] svg')).to_have_attribute(
        "aria-label", re.compile("16 with 1$")
    )


def test_it_works_without_scripts(open_page):
    page = open_page(PAGE, java_script_enabled=False)
    page.get_by_label("Solver", exact=True).select_option("exact")
    page.get_by_label("Compare with").select_option("")
    page.get_by_role("button", name="Solve", exact=True).click()
    expect(page.locator(".board svg")).to_have_count(1)
    assert "solver=exact" in page.url
    expect(page.get_by_text("Draw source")).to_be_hidden()
