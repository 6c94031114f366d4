"""Baskets, exports and lists: exactly what was chosen, and nothing dropped in silence."""

from __future__ import annotations

import csv
import html
import io
import re
from urllib.parse import urlencode

import pytest
from django.http import QueryDict
from hypothesis import example, given
from hypothesis import strategies as st

from mlcore.retrieval.export import safe_cell
from webapp.search import lists


def export(client, **fields):
    return client.post("/export/", {"format": "csv", **fields})


def test_what_is_shown_is_what_is_exported(client, db, door):
    response = export(
        client, scope="shown", shown=["catalogue:F0003", "catalogue:F0001"], pick="catalogue:F0000", q="rose"
    )
    assert response.headers["Content-Disposition"] == 'attachment; filename="ferry.csv"'
    assert door.calls[-1][1]["rows"] == [("catalogue", "F0003"), ("catalogue", "F0001")]
    assert door.calls[-1][1]["query"] == "rose"


def test_what_is_shown_keeps_its_ranks_and_scores(client, db, door):
    text = client.get("/?q=rose&k=5&offset=5").content.decode()
    form = text[text.index("data-export-form") :]
    fields = {
        name: re.findall(rf'name="{name}" value="([^"]*)"', form) for name in ("shown", "rank", "score")
    }
    assert fields["rank"] == ["6", "7", "8", "9", "10"]
    export(client, scope="shown", **fields)
    rows = door.calls[-1][1]["rows"]
    assert [f"{library}:{identifier}" for library, identifier, *_ in rows] == fields["shown"]
    assert [rank for *_, rank, _ in rows] == [6, 7, 8, 9, 10]
    assert [score for *_, score in rows] == [float(text) for text in fields["score"]]


@pytest.mark.parametrize(
    ("rank", "score", "words"),
    [
        (["0", "1"], ["0.5", "0.4"], "no rank"),
        (["-1", "1"], ["0.5", "0.4"], "no rank"),
        (["٣", "1"], ["0.5", "0.4"], "no rank"),
        (["9" * 30, "1"], ["0.5", "0.4"], "no rank"),
        (["1", "2"], ["nan", "0.4"], "no score"),
        (["1", "2"], ["inf", "0.4"], "no score"),
        (["1", "2"], ["1.2", "0.4"], "no score"),
        (["1", "2"], ["=1+1", "0.4"], "no score"),
        (["1"], ["0.5", "0.4"], "do not belong together"),
        ([], ["0.5", "0.4"], "do not belong together"),
    ],
)
def test_numbers_that_no_page_has_shown_are_refused(client, db, door, rank, score, words):
    response = export(
        client, scope="shown", shown=["catalogue:F0003", "catalogue:F0001"], rank=rank, score=score
    )
    assert response.status_code == 422
    assert words in response.content.decode()
    assert door.calls == []


def test_what_cannot_be_exported_is_told_before_the_others_are(client, db, door):
    door.notes = ["1 of 2 molecules could not be written: <b>."]
    fields = {"scope": "shown", "shown": ["catalogue:F0003", "catalogue:F0001"], "q": 'a "rose"'}
    fields |= {"rank": ["1", "2"], "score": ["0.5", "0.4"]}
    response = export(client, **fields)
    text = response.content.decode()
    assert (response.status_code, response.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "1 of 2 molecules could not be written: &lt;b&gt;." in text
    form = text[text.index('action="/export/"') :]
    again = [
        (name, html.unescape(value))
        for name, value in re.findall(r'name="(\w+)" value="([^"]*)"', form)
        if name != "csrfmiddlewaretoken"
    ]
    first = door.calls[-1]
    posted = QueryDict(urlencode(again))
    response = client.post("/export/", dict(posted.lists()))
    assert response.headers["Content-Disposition"] == 'attachment; filename="ferry.csv"'
    assert door.calls[-1] == first, "the very same export"


def test_the_basket_is_exported_once_each_in_order(client, db, door):
    export(client, scope="basket", pick=["catalogue:F0005", "catalogue:F0002", "catalogue:F0005"])
    assert door.calls[-1][1]["rows"] == [("catalogue", "F0005"), ("catalogue", "F0002")]


def test_all_found_runs_the_search_again(client, db, door):
    export(client, scope="all", search="?q=rose&weight_max=155", q="rose")
    exported = door.calls[-1][1]["rows"]
    assert len(exported) == 6
    assert [rank for _, _, rank, _ in exported] == [1, 2, 3, 4, 5, 6]
    assert exported[0][3] == 0.97
    assert door.calls[0][1]["filters"] == {"weight_max": 155.0}


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"scope": "basket"}, 422, "Nothing was selected"),
        ({"scope": "basket", "pick": "catalogue:F0001", "format": "exe"}, 422, "no file format"),
        ({"scope": "basket", "pick": "nonsense"}, 422, "names no molecule"),
        ({"scope": "basket", "pick": "secret:F0001"}, 404, "no library"),
        ({"scope": "basket", "pick": "catalogue:F9999"}, 404, "no molecule"),
    ],
)
def test_exports_that_cannot_be_made_say_why(client, db, door, fields, status, words):
    response = export(client, **fields)
    assert response.status_code == status
    assert words in response.content.decode()


def test_the_basket_page_shows_rows_and_names_what_is_gone(page):
    text = page("/basket/?pick=catalogue:F0000&pick=catalogue:F9999&pick=catalogue:F0000")
    assert text.count("data-basket-row") == 1
    assert "No longer there" in text
    assert "catalogue:F9999" in text
    assert "Nothing is in it yet" in page("/basket/")


def test_a_list_is_found_ambiguous_or_not_and_counts_close(client, db, door):
    text = client.post("/lookup/", {"items": "aspirin\n\npain\nphlogiston\n"}).content.decode()
    assert "What was found" in text
    for status in ("found", "ambiguous", "not found"):
        assert f">{status}</td>" in text
    assert text.count("<dd>1</dd>") == 3
    assert "<dd>3</dd>" in text


def test_a_list_that_is_empty_or_too_long_keeps_the_text(client, db, door):
    empty = client.post("/lookup/", {"items": " \n "})
    assert empty.status_code == 422
    assert "The list is empty" in empty.content.decode()
    long = client.post("/lookup/", {"items": "aspirin\n" * 1001})
    assert long.status_code == 422
    assert "1,001 entries" in long.content.decode()
    assert "aspirin\naspirin" in long.content.decode()


def test_the_table_has_a_line_for_every_entry_and_no_formulas(client, db, door):
    response = client.post("/lookup/export/", {"items": "aspirin\npain\n=cmd()\n-x"})
    rows = list(csv.reader(io.StringIO(response.content.decode())))
    assert rows[0][:2] == ["entry", "status"]
    assert [row[:2] for row in rows[1:]] == [
        ["aspirin", "found"],
        ["pain", "ambiguous"],
        ["pain", "ambiguous"],
        ["'=cmd()", "not found"],
        ["'-x", "not found"],
    ]


def test_no_cell_of_the_table_is_a_formula(client, db, door, monkeypatch):
    match = {
        "library": "@lib",
        "id": "+1",
        "name": '=HYPERLINK("http://evil.example")',
        "smiles": "CCO",
        "inchikey": None,
    }
    row = {
        "item": " =1+1",
        "status": "found",
        "kind": "name",
        "matches": [match, match | {"name": "a\n=b"}],
        "note": "|x",
    }
    monkeypatch.setattr(lists, "look_up", lambda text, user: {"rows": [row], "counts": {}})
    answer = client.post("/lookup/export/", {"items": "x"}).content.decode()
    first, second = list(csv.reader(io.StringIO(answer)))[1:]
    assert first == [
        "' =1+1", "found", "name", "'@lib", "'+1", "'=HYPERLINK(\"http://evil.example\")", "CCO", "", "'|x",
    ]  # fmt: skip
    assert second[5] == "a =b"


@given(st.text(max_size=8))
@example("\t=1")
@example("\u2028=1")
@example("\x00-1")
@example("%x")
def test_the_guard_is_that_of_the_exports(cell):
    assert lists._plain(cell) == safe_cell(cell)
