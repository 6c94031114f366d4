"""The plan as a picture and as a table, and the pages around it."""

from __future__ import annotations

import re

import pytest

from webapp.search import drawings, plan

EXPLANATION = {
    "words": [{"index": 0, "text": "of", "telling": False}, {"index": 1, "text": "rose", "telling": True}],
    "motifs": [{"index": 0, "label": "ring", "atoms": [0, 1]}, {"index": 1, "label": "OH", "atoms": [2]}],
    "plan": [[0.1, 0.3], [0.9, 0.7]],
    "links": [
        {"word": 0, "motif": 1, "mass": 0.95},
        {"word": 1, "motif": 0, "mass": 0.9},
        {"word": 1, "motif": 1, "mass": 0.7},
    ],
}


def test_ribbons_fill_their_banks_and_carry_all_mass():
    drawn = plan.picture(EXPLANATION)
    assert sum(ribbon.mass for ribbon in drawn.ribbons) + drawn.left_out == pytest.approx(1)
    assert [bank.share for bank in drawn.words] == pytest.approx([0.2, 0.8])
    assert [bank.share for bank in drawn.motifs] == pytest.approx([0.5, 0.5])
    assert drawn.words[1].height > drawn.words[0].height
    assert drawn.motifs[0].atoms == "0,1"
    assert all(
        -1e-6 <= bank.top <= drawn.height - bank.height + 0.2 for bank in (*drawn.words, *drawn.motifs)
    )


def test_thin_ribbons_are_left_out_and_counted():
    thin = {**EXPLANATION, "plan": [[0.001, 0.999], [1.0, 0.0]]}
    drawn = plan.picture(thin)
    assert {(ribbon.word, ribbon.motif) for ribbon in drawn.ribbons} == {(0, 1), (1, 0)}
    assert drawn.left_out == pytest.approx(0.0005)


@pytest.mark.parametrize("empty", [{"words": [], "plan": []}, {"plan": [[0.0, 0.0], [0.0, 0.0]]}])
def test_nothing_to_carry_is_no_picture(empty):
    assert plan.picture({**EXPLANATION, **empty}) is None


def test_the_table_sums_to_a_hundred():
    table = plan.heat(EXPLANATION)
    assert sum(cell["percent"] for row in table["rows"] for cell in row["cells"]) == pytest.approx(100)
    assert sum(table["sums"]) == pytest.approx(100)
    assert table["rows"][1]["cells"][0]["shade"] == 9


def test_the_sentence_leaves_little_words_out():
    assert [link["word"] for link in plan.strongest(EXPLANATION)] == ["rose", "rose"]
    assert plan.little(EXPLANATION) == pytest.approx(0.2)
    silent = [{**word, "telling": False} for word in EXPLANATION["words"]]
    assert plan.strongest({**EXPLANATION, "words": silent})[0]["word"] == "of"


def test_style_attributes_become_presentation_attributes():
    path = "<path style='fill:none;stroke:#FF0000;stroke-width:2.0px' d='M0'/>"
    text = f"<?xml version='1.0'?>\n<!-- x --><svg width='2px'>{path}</svg>"
    assert drawings.clean(text) == (
        '<svg width=\'2px\'><path fill="none" stroke="#FF0000" stroke-width="2.0px" d=\'M0\'/></svg>'
    )


def test_a_drawing_in_the_page_has_a_name_and_no_size():
    text = drawings.inline("<svg width='2px' height='3px' viewBox='0 0 2 3'></svg>", 'a "b" <c>')
    assert text.startswith('<svg viewBox=\'0 0 2 3\' role="img" aria-label="a &quot;b&quot; &lt;c&gt;">')


def test_the_molecule_page_explains_the_question_of_its_address(page):
    text = page("/molecules/catalogue/F0004/?q=a+painkiller+with+an+ester")
    assert "Why it was found" in text
    assert text.count('class="bank"') >= 5 + 3
    assert 'id="light-data"' in text
    assert "All cells together make 100" in text
    assert text.count('role="img"') == 2
    buttons = re.findall(r'<\w+ [^>]*role="button"[^>]*>', text)
    assert len(buttons) >= 2 * (5 + 3)
    assert all('tabindex="0"' in each and 'aria-pressed="false"' in each for each in buttons)


def test_without_scripts_a_word_lights_its_atoms(page):
    plain = page("/molecules/catalogue/F0004/?q=a+painkiller")
    lit = page("/molecules/catalogue/F0004/?q=a+painkiller&word=1")
    assert lit.count("<ellipse") > plain.count("<ellipse")
    for odd in ("999", "1234567890", "12ab", "-1"):
        page(f"/molecules/catalogue/F0004/?q=a+painkiller&word={odd}")


def test_properties_identifiers_and_files(page, client):
    text = page("/molecules/catalogue/F0004/")
    assert "180.0423 Da" in text
    assert "63.60 Å²" in text
    assert "BSYNRYMUTXBXSQ-UHFFFAOYSA-N" in text
    assert client.get("/molecules/catalogue/F0004.png").content.startswith(b"\x89PNG")
    assert b"V2000" in client.get("/molecules/catalogue/F0004.mol?save").content
    saved = client.get("/molecules/catalogue/F0004.svg?save").headers["Content-Disposition"]
    assert saved == 'attachment; filename="aspirin.svg"'


def test_a_molecule_or_library_that_is_not_there(page):
    assert "no molecule" in page("/molecules/catalogue/F9999/", status=404)
    assert "no library" in page("/molecules/secret/F0004/", status=404)


def test_an_explanation_that_cannot_be_given_does_not_take_the_page_away(page, door, monkeypatch):
    from workers import inference

    def refuse(*_args):
        raise inference.BadInput("The question is too long to explain.", "text", "Shorten it.")

    monkeypatch.setattr(inference, "explain", refuse)
    text = page("/molecules/catalogue/F0004/?q=x")
    assert "too long to explain" in text
    assert "180.0423 Da" in text


def test_the_way_back_is_a_search_and_nothing_else(page):
    back = "/molecules/catalogue/F0004/?q=a+painkiller&from="
    assert 'href="/?q=a+painkiller&amp;k=50">← Back' in page(f"{back}%3Fq%3Da%2Bpainkiller%26k%3D50")
    assert "← Back" not in page(f"{back}%2F%2Fevil.example")


def test_neighbours_and_texts(page):
    assert "geraniol" in page("/molecules/catalogue/F0004/neighbours/")
    section = page("/molecules/catalogue/F0004/texts/", HTTP_HX_REQUEST="true")
    assert "sweet smell of roses" in section
    assert "<html" not in section


def test_any_structure_is_described(page):
    assert "sweet smell of roses" in page("/texts/?s=CCO")
    assert "/texts/?s=CC%28C%29" in page("/?q=CC(C)%3DCCCC(C)%3DCCO")


def test_two_hits_compared(page):
    text = page("/compare/?q=a+rosy+alcohol&library=catalogue&first=F0000&second=F0001")
    assert "geraniol stands above citronellol" in text
    assert "+0.18" in text
    assert "−0.01" in text
    assert "Compare two hits" in page("/compare/?q=x")
