"""The search page: what it shows for an answer, for none, and for a fault."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

HTMX = {"HTTP_HX_REQUEST": "true"}
ROSES = "/?q=a+monoterpenoid+alcohol+that+smells+of+roses"
MOLFILE = "\n  drawn\n\n  0  0  0  0  0  0            999 V2000\nM  END\n"


def test_the_empty_page_shows_examples_with_their_answers_and_what_is_stored(page):
    text = page("/")
    assert "an aromatic aldehyde that smells of bitter almonds" in text
    assert "finds benzaldehyde" in text
    assert "Is my structure leaving the building?" in text


def test_no_page_asks_another_host_or_carries_inline_script_or_style(page):
    for address in (
        "/",
        ROSES,
        "/help/",
        "/basket/",
        "/lookup/",
        "/libraries/",
        "/molecules/catalogue/F0004/?q=a+painkiller",
    ):
        text = page(address)
        assert not re.findall(r'(?:src|href|action)="(?:https?:)?//', text), address
        assert not re.findall(r"<script(?![^>]*(?:src=|application/json))", text), address
        assert not re.findall(r"\sstyle=|\son\w+=|<style", text), address


def test_a_result_shows_drawing_formula_weight_score_channels_and_words(page):
    text = page(ROSES)
    assert text.count("data-result") == 12
    first = text[text.index("data-result") :][:4000]
    assert "geraniol" in first
    assert "C<sub>10</sub>H<sub>18</sub>O" in first
    assert "154.25 g/mol" in first
    assert "very likely" in first
    assert "0.97" in first
    assert "of a hundred first hits" in first.lower()
    assert ">meaning</span>" in first
    assert "<mark>monoterpenoid</mark>" in first
    assert "theme=dark" in first
    assert "theme=light" in first


def test_the_reading_is_said_and_others_are_offered(page, door):
    text = page("/?q=asprin")
    assert "read as a name" in text
    assert "Searched for <strong>aspirin</strong>" in page("/?q=asprin")
    page("/?q=rose+oil&read_as=name")
    assert door.calls[-1][1]["read_as"] == "name"
    assert 'href="?q=rose+oil&amp;read_as=name' in page("/?q=rose+oil")


def test_the_door_is_asked_what_the_address_says(page, door):
    page(
        "/?q=rose&weight_min=100&weight_max=200&stereo=ignore&sort=name&k=50&offset=2&substructure=CO&library=catalogue"
    )
    _, asked = door.calls[-1]
    assert asked["filters"] == {"weight_min": 100.0, "weight_max": 200.0, "substructure": "CO"}
    assert (asked["stereo"], asked["sort"], asked["k"], asked["offset"]) == ("ignore", "name", 50, 2)
    assert asked["libraries"] == ("catalogue",)


def test_filters_are_chips_that_lead_to_the_search_without_them(page):
    text = page("/?q=rose&weight_min=100&weight_max=200&substructure=CO")
    assert "Molecular weight 100 to 200 g/mol" in text
    assert 'href="?q=rose&amp;substructure=CO"' in text
    assert 'href="?q=rose&amp;weight_min=100&amp;weight_max=200"' in text


def test_counts_close_and_pages_link(page, door):
    door.total = 1204
    text = page("/?q=rose&k=5&offset=5")
    assert "<strong>6–10</strong> of 1,204" in text
    assert 'rel="next" href="?q=rose&amp;k=5&amp;offset=10"' in text
    assert 'rel="prev" href="?q=rose&amp;k=5"' in text


def test_htmx_gets_the_inside_with_title_and_address(client, db, door):
    response = client.get("/?q=rose&weight_min=&weight_max=200&k=20", **HTMX)
    text = response.content.decode()
    assert "<html" not in text
    assert "<title>rose · Ferry" in text
    assert response.headers["HX-Push-Url"] == "/?q=rose&weight_max=200"
    assert "HX-Request" in response.headers["Vary"]


def test_going_back_in_history_gets_the_whole_page(client, db, door):
    response = client.get("/?q=rose", HTTP_HX_HISTORY_RESTORE_REQUEST="true", **HTMX)
    assert b"<html" in response.content


def test_a_form_without_scripts_is_led_to_the_tidy_address(client, db, door):
    response = client.get("/?q=rose&weight_min=&weight_max=200&sort=score")
    assert response.status_code == 302
    assert response.headers["Location"] == "/?q=rose&weight_max=200"


def test_a_posted_molfile_gets_the_address_of_its_structure(client, db, door):
    response = client.post("/", {"q": MOLFILE})
    assert response.status_code == 302
    assert response.headers["Location"] == "/?q=CCO"
    pushed = client.post("/", {"q": MOLFILE, "weight_max": "100"}, **HTMX).headers["HX-Push-Url"]
    assert pushed == "/?q=CCO&weight_max=100"


def test_a_structure_query_is_drawn_and_offers_the_three_ways(page):
    text = page(f"/?q={quote('C[C@H](N)C(=O)O')}")
    assert "Your structure, as read" in text
    assert "Molecules that contain it" in text
    assert "Tanimoto similarity" in text


def test_bad_input_names_fault_and_remedy_with_422(page):
    text = page("/?q=C1CC", status=422)
    assert "unclosed ring, atom 1" in text
    assert "Close the ring" in text
    assert "Traceback" not in text


def test_a_faulty_field_keeps_what_was_typed_and_shows_the_panel(page):
    text = page("/?q=rose&weight_min=heavy", status=422)
    assert 'value="heavy"' in text
    assert 'aria-invalid="true"' in text
    assert "write a number" in text


def test_every_faulty_field_is_described_by_its_own_fault(page):
    text = page("/?q=rose&weight_min=heavy&rings_max=x&similarity=7&mass=y", status=422)
    described = re.findall(r'aria-invalid="true" aria-describedby="([^"]+)"', text)
    assert described == ["weight_min-fault", "rings_max-fault", "similarity-fault", "mass-fault"]
    assert text.count('aria-invalid="true"') == len(described)
    for name in described:
        (fault,) = re.findall(rf'id="{name}">([^<]+)<', text)
        assert fault


def test_the_help_and_the_notice_credit_every_source_of_the_training(page):
    notice = " ".join((Path(__file__).parents[3] / "NOTICE").read_text(encoding="utf-8").split())
    text = re.sub(r"<[^>]+>", "", page("/help/"))
    for said in ("ChEBI-20", "CC BY 4.0", "4,407 further pairs of ChEBI", "PCdes", "Nature Communications 2022",
                 "No licence is stated upstream", "IUPAC names from PubChem"):  # fmt: skip
        assert said in text, said
        assert said in notice, said


def test_strange_texts_are_pages_too(page):
    page("/?q=%00", status=422)
    for odd in ("🌹🌹", "שמן ורדים", "a" * 5000, "<script>alert(1)</script>", "{{ 7*7 }}"):
        assert "<script>alert" not in page(f"/?q={quote(odd)}")


def test_a_library_that_may_not_be_read_is_not_found(page):
    assert "There is no library" in page("/?q=rose&library=secret", status=404)


def test_nothing_found_offers_what_to_leave_out(page, fakes):
    text = page(f"/?q={quote(fakes.ABSENT)}&substructure=CO&mode=exact")
    assert "Nothing fits all of that" in text
    assert "Leave out “contains CO”" in text
    assert "similar molecules instead" in text
    text = page(f"/?q={quote(fakes.ABSENT)}&similar_to=CCO&similarity=0.7")
    assert 'similarity=0.5">Accept a similarity of 0.5' in re.sub(
        r"hx-[a-z-]+=\"[^\"]*\"\s?", "", text
    ).replace('" >', '">')


def test_an_absent_molecule_is_said_to_be_absent(page):
    assert "Probably not in this library." in page("/?q=unobtainium+salt")


def test_filters_without_a_text_say_what_is_missing(page, door):
    assert "write something in the box" in page("/?weight_max=100")
    assert not door.calls


def test_libraries_are_called_by_name(page, monkeypatch, door):
    assert "in Catalogue" in page("/?q=rose&library=catalogue")
    hit = door._hit
    monkeypatch.setattr(door, "_hit", lambda *given: hit(*given) | {"also_in": ["catalogue", "gone"]})
    assert "also in Catalogue, gone" in page("/?q=rose")


def test_a_library_chosen_before_the_text_stays_chosen(page):
    text = page("/?library=catalogue&weight_max=100")
    assert '<input type="hidden" name="library" value="catalogue">' in text
    assert '<input type="hidden" name="weight_max" value="100">' in text
    assert "in Catalogue" in text
    assert 'type="hidden" name="library"' not in page("/?q=rose&library=catalogue")


def test_names_are_suggested(client, db, door):
    assert client.get("/suggest/?q=ge").json()["suggestions"][0]["name"] == "geraniol"
    assert client.get("/suggest/?q=g").json() == {"suggestions": []}


def test_drawings_need_no_inline_style_and_bad_ones_say_why(client, db, door):
    good = client.get("/drawing.svg?s=CCO&theme=dark&width=300&height=200")
    assert good.headers["Content-Type"] == "image/svg+xml"
    assert b"style=" not in good.content
    assert b'stroke-width="2.0px"' in good.content
    bad = client.get("/drawing.svg?s=C1CC(")
    assert bad.status_code == 422
    assert "Cache-Control" not in bad.headers
    assert client.get(
        "/drawing.svg?s=CCO&width=9999999&height=x&atoms=0,99999999999999999999,q"
    ).status_code in {200, 422}


def test_the_panel_shows_how_the_hits_are_spread(page, door):
    text = page("/?q=rose")
    assert door.calls[-1][1]["facets"] is True
    assert "Bars show how the 12 found are spread." in text
    drawn = re.findall(r'<svg class="spread".*?</svg>', text, re.DOTALL)
    assert len(drawn) == 4
    assert 'role="img" aria-label="Molecular weight of the 12 found: 89.1 to ' in drawn[0]
    assert drawn[0].count('<rect class="tall"') == 2
    assert re.findall(r"<title>[^<]*: (\d+)</title>", drawn[0]) == ["3", "9"]
    assert 'placeholder="89.1"' in text


def test_categories_are_counted_and_narrow_the_search(page):
    text = page("/?q=rose&weight_max=300")
    assert 'href="?q=rose&amp;category=terpenes&amp;weight_max=300"' in text
    narrowed = page("/?q=rose&category=Terpenes")
    assert 'aria-current="true"><span class="sr">Leave out the filter </span>terpenes' in narrowed
    assert "terpenes" in page("/?q=rose")
    assert 'aria-label="Categories of what was found"' not in page("/?q=no+such+thing")


def test_an_answer_without_facets_is_a_page_too(page, door, monkeypatch):
    monkeypatch.setattr(door, "_facets", lambda rows: {})
    text = page("/?q=rose")
    assert 'class="spread"' not in text
    assert 'placeholder="min"' in text


def test_what_counts_as_the_same_is_asked_for_structures_alone(page, door):
    alanine = quote("C[C@H](N)C(=O)O")
    text = page(f"/?q={alanine}&same=parent&mode=exact")
    assert door.calls[-1][1]["same"] == "parent"
    assert 'name="same" value="parent" form="search-form" data-filter checked' in text
    assert "any salt, charge or solvate" in text
    assert f'href="?q={quote("C[C@H](N)C(=O)O", safe="")}&amp;mode=exact"' in text
    assert "same parent: another salt, charge or solvate" in text
    assert "&#x27;same&#x27;, &#x27;parent&#x27;" in text
    prose = page("/?q=rose+oil&same=parent")
    assert "Counts as the same" not in prose
    assert 'type="hidden" name="same" value="parent"' in prose
    assert "not a choice for same" in page("/?q=x&same=cousin", status=422)


def test_a_salt_shows_its_standard_form_and_the_steps(page):
    text = page("/?q=nerves&k=20")
    card = next(part for part in text.split("data-result") if ">acetylcholine</a>" in part)
    assert ("Standardised for comparison" in card) is True
    assert "<li>neutralised</li>" in card
    assert text.count("Standardised for comparison") == 1


def test_a_handful_of_hits_needs_no_bars(page):
    text = page("/?q=rose&weight_max=140")
    assert "<strong>1–2</strong> of 2" in text
    assert 'class="spread"' not in text
    assert 'placeholder="89.1"' in text
