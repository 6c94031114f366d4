"""Addresses are text and are read as it; JSON has types, and a value of another type is refused, not turned into it."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from tests.webapp.api import problem
from tests.webapp.api.conftest import Door

SEARCH = "/api/v1/search/"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("q", 7),
        ("q", True),
        ("q", None),
        ("q", ["a"]),
        ("k", "5"),
        ("k", True),
        ("k", 5.5),
        ("facets", "true"),
        ("facets", 1),
        ("weight_min", "180"),
        ("weight_min", False),
        ("library", "catalogue"),
        ("sort", 1),
    ],
)
def test_json_of_another_type_is_refused(client: APIClient, door: Door, name: str, value: Any) -> None:
    response = client.post(SEARCH, {"q": "a", name: value}, format="json")
    problem.check(response, 400, field=name)
    assert not door.calls


@pytest.mark.parametrize(("name", "value"), [("k", 5), ("k", 5.0), ("facets", True), ("weight_min", 180)])
def test_json_of_its_type_is_taken(client: APIClient, name: str, value: Any) -> None:
    assert client.post(SEARCH, {"q": "a", name: value}, format="json").status_code == 200


def test_an_address_is_read_as_text(client: APIClient, door: Door) -> None:
    asked = {"q": "7", "k": "5", "facets": "true", "weight_min": "180"}
    assert client.get(SEARCH, asked).status_code == 200
    assert (door.last("search")["k"], door.last("search")["filters"]) == (5, {"weight_min": 180.0})


@pytest.mark.parametrize("name", ["q", "k", "category", "facets", "weight_min"])
def test_nothing_is_no_value(client: APIClient, name: str) -> None:
    problem.check(client.get(SEARCH, {"q": "a", name: ""}), 400, field=name)
