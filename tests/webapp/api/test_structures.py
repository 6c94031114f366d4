"""Describing a structure and looking up a list."""

from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from tests.webapp.api import problem
from tests.webapp.api.conftest import Door

DESCRIBE, LOOKUP = "/api/v1/structures/describe/", "/api/v1/lookup/"


def test_describe(client: APIClient, door: Door) -> None:
    response = client.post(DESCRIBE, {"structure": "CCO", "k": 3, "library": ["catalogue"]}, format="json")
    assert response.json() == door.answers["describe"]
    assert door.calls == [("describe", ("CCO",), {"libraries": ("catalogue",), "k": 3})]


def test_lookup_takes_an_object_or_a_bare_list(client: APIClient, door: Door) -> None:
    names = ["aspirin", "", "CCO"]
    assert client.post(LOOKUP, {"items": names}, format="json").json() == door.answers["lookup"]
    assert client.post(LOOKUP, names, format="json").status_code == 200
    assert door.calls[0] == door.calls[1] == ("lookup", (names,), {"libraries": ("catalogue",)})


def test_lookup_takes_a_thousand_and_names_the_limit(client: APIClient, door: Door) -> None:
    assert client.post(LOOKUP, ["CCO"] * 1_000, format="json").status_code == 200
    problem.check(client.post(LOOKUP, ["CCO"] * 1_001, format="json"), 400, "1,000", field="items")
    assert len(door.calls) == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ([], "items"),
        ({}, "items"),
        ({"items": "aspirin"}, "items"),
        ({"items": [["a"]]}, "items.0"),
        ({"items": [None]}, "items.0"),
        ({"items": ["a\x00"]}, "items.0"),
        ({"items": ["a"], "libary": []}, "libary"),
        ({"items": ["a"], "library": ["annas-amines"]}, "library"),
    ],
)
def test_bad_lists(client: APIClient, body: object, field: str) -> None:
    problem.check(client.post(LOOKUP, body, format="json"), 400, field=field)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "structure"),
        ({"structure": ""}, "structure"),
        ({"structure": 7, "k": -1}, "k"),
        ({"structure": {"a": 1}}, "structure"),
        ({"structure": "C" * 100_001}, "structure"),
        ({"structure": "C", "k": 1.5}, "k"),
        ({"structure": "C", "k": True}, "k"),
    ],
)
def test_bad_structures(client: APIClient, door: Door, body: object, field: str) -> None:
    problem.check(client.post(DESCRIBE, body, format="json"), 400, field=field)
    assert door.calls == []
