"""Files of chosen rows and of what a search shows."""

from __future__ import annotations

import json

import pytest
from rest_framework.test import APIClient

from tests.webapp.api import problem
from tests.webapp.api.conftest import Door

EXPORT = "/api/v1/export/"


def test_chosen_rows_in_their_order(client: APIClient, door: Door) -> None:
    response = client.get(EXPORT, {"format": "csv", "row": ["catalogue:b:1", "catalogue:a"]})
    assert response.content == b"id\r\ngeraniol\r\n"
    assert response.headers["Content-Type"] == "text/csv"
    assert response.headers["Content-Disposition"] == 'attachment; filename="ferry.csv"'
    assert door.calls == [("export", ("csv", [("catalogue", "b:1"), ("catalogue", "a")], ""), {})]


def test_what_is_not_in_the_file_is_told_in_a_header(client: APIClient, door: Door) -> None:
    rows = {"format": "sdf", "row": "catalogue:a"}
    assert "Ferry-Notes" not in client.get(EXPORT, rows).headers
    name, kind, content, _ = door.answers["export"]
    door.answers["export"] = (name, kind, content, ["1 of 2 molecules could not be written: β\n."])
    response = client.get(EXPORT, rows)
    assert response.content == content
    assert response.headers["Ferry-Notes"].isascii()
    assert json.loads(response.headers["Ferry-Notes"]) == ["1 of 2 molecules could not be written: β\n."]


def test_what_a_search_shows(client: APIClient, door: Door) -> None:
    client.get(EXPORT, {"format": "sdf", "q": "rose", "k": 5, "offset": 10, "weight_max": 300})
    assert [name for name, _, _ in door.calls] == ["search", "export"]
    assert (door.last("search")["k"], door.last("search")["offset"]) == (5, 10)
    assert door.calls[-1][1] == ("sdf", [("catalogue", "geraniol", 1, 0.93)], "rose")


def test_rows_may_say_where_they_stood(client: APIClient, door: Door) -> None:
    rows = [
        {"library": "catalogue", "id": "a", "rank": 3, "score": 0.5},
        {"library": "catalogue", "id": "b", "score": 0},
        {"library": "catalogue", "id": "c"},
    ]
    assert client.post(EXPORT, {"format": "csv", "rows": rows}, format="json").status_code == 200
    assert door.calls[-1][1][1] == [
        ("catalogue", "a", 3, 0.5),
        ("catalogue", "b", None, 0.0),
        ("catalogue", "c"),
    ]


@pytest.mark.parametrize(
    ("number", "field"),
    [
        ({"rank": 0}, "rank"),
        ({"rank": -1}, "rank"),
        ({"rank": 1.5}, "rank"),
        ({"rank": "first"}, "rank"),
        ({"score": 1.01}, "score"),
        ({"score": -0.1}, "score"),
        ({"score": "inf"}, "score"),
        ({"score": "nan"}, "score"),
        ({"score": "=1+1"}, "score"),
    ],
)
def test_numbers_no_search_can_have_given_are_refused(
    client: APIClient, door: Door, number: dict[str, object], field: str
) -> None:
    body = {"format": "csv", "rows": [{"library": "catalogue", "id": "a", **number}]}
    problem.check(client.post(EXPORT, body, format="json"), 400, field=f"rows.0.{field}")
    assert door.calls == []


def test_rows_win_over_the_search_that_found_them(client: APIClient, door: Door) -> None:
    body = {"format": "smi", "rows": [{"library": "catalogue", "id": "x"}], "search": {"q": "rose"}}
    assert client.post(EXPORT, body, format="json").status_code == 200
    assert door.calls == [("export", ("smi", [("catalogue", "x")], "rose"), {})]


def test_more_hits_than_a_page_shows(client: APIClient, door: Door) -> None:
    assert client.get(EXPORT, {"format": "smi", "q": "rose", "k": 1_000}).status_code == 200
    body = {"format": "smi", "search": {"q": "rose", "k": 1_000}}
    assert client.post(EXPORT, body, format="json").status_code == 200
    assert [keyword["k"] for name, _, keyword in door.calls if name == "search"] == [1_000, 1_000]


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"format": "csv"}, "q"),
        ({"row": "catalogue:a"}, "format"),
        ({"format": "xls", "row": "catalogue:a"}, "format"),
        ({"format": "csv", "row": "no-colon"}, "row"),
        ({"format": "csv", "row": ":a"}, "row"),
        ({"format": "csv", "row": "annas-amines:1"}, "library"),
        ({"format": "csv", "row": ["catalogue:a", "annas-amines:1"]}, "library"),
        ({"format": "csv", "q": "a", "library": "annas-amines"}, "library"),
        ({"format": "csv", "q": "a", "k": 9_999}, "k"),
    ],
)
def test_bad_exports(client: APIClient, door: Door, parameters: dict[str, object], field: str) -> None:
    problem.check(client.get(EXPORT, parameters), 400, field=field)
    assert door.calls == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"format": "csv"}, "rows"),
        ({"format": "csv", "rows": []}, "rows"),
        ({"format": "csv", "rows": ["a"]}, "rows.0"),
        ({"format": "csv", "rows": [{"library": "catalogue"}]}, "rows.0.id"),
        ({"format": "csv", "rows": [{"library": "catalogue", "id": "a", "x": 1}]}, "rows.0.x"),
        ({"format": "csv", "rows": [{"library": "catalogue", "id": "a"}] * 5_001}, "rows"),
        ({"format": "csv", "search": {"q": "a", "kk": 1}}, "search.kk"),
        ({"format": "csv", "search": "a"}, "search"),
    ],
)
def test_bad_export_bodies(client: APIClient, body: object, field: str) -> None:
    problem.check(client.post(EXPORT, body, format="json"), 400, field=field)
