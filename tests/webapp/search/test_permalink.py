"""A permanent link names the versions it was made with, and the page says when they have changed."""

from __future__ import annotations

import html
import re


def permalink(text: str) -> str:
    found = re.search(r'<pre id="permalink">(.*?)</pre>', text)
    assert found
    return html.unescape(found.group(1)).removeprefix("http://testserver")


def test_the_link_pins_model_and_libraries(page, fakes):
    link = permalink(page("/?q=rose&weight_max=200"))
    assert (
        link == f"/?q=rose&weight_max=200&library=catalogue%40{fakes.CATALOGUE[:16]}&model={fakes.MODEL[:16]}"
    )


def test_a_link_that_still_holds_says_nothing(page):
    assert 'id="moved"' not in page(permalink(page("/?q=rose")))


def test_a_new_model_is_told(page, door, fakes):
    link = permalink(page("/?q=rose"))
    door.model = "77" * 32
    text = page(link)
    assert 'id="moved"' in text
    assert f"the model (then {fakes.MODEL[:8]}, now 77777777)" in text
    assert 'href="?q=rose&amp;library=catalogue">Drop the pin' in text


def test_a_library_made_again_is_told(page, fakes):
    text = page("/?q=rose&library=catalogue@0123456789abcdef")
    assert f"the library Catalogue (then 01234567, now {fakes.CATALOGUE[:8]})" in text


def test_the_search_as_code_is_the_search_shown(page):
    text = html.unescape(page("/?q=rose&weight_max=200"))
    assert "--data-urlencode weight_max=200" in text
    assert "('weight_max', '200')" in text
    assert "http://testserver/api/v1/search/" in text
