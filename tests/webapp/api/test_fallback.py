"""Addresses and methods that do not exist, and the limits on how often one may ask."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from rest_framework.test import APIClient

from tests.webapp.api import problem
from webapp.api.throttles import parse_rate


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("/api/v1/serach/", ["did you mean /api/v1/search/"]),
        ("/api/v1/library", ["/api/v1/libraries/"]),
        ("/api/v2/search/", ["/api/v1/search/"]),
        ("/api/qqqqqqqqqqqqqqq", ["/api/docs/"]),
        ("/api/v1/%00", []),
        ("/api/", []),
        ("/api/v1/jobs//", []),
    ],
)
@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete"])
def test_unknown_addresses(client: APIClient, address: str, words: list[str], method: str) -> None:
    problem.check(getattr(client, method)(address), 404, *words)


def test_a_missing_last_slash_is_mended(client: APIClient) -> None:
    response = client.get("/api/v1/search?q=a%26b&k=3")
    assert response.status_code == 307
    assert response.headers["Location"] == "/api/v1/search/?q=a%26b&k=3"
    assert client.post("/api/v1/lookup", ["a"], format="json").status_code == 307


@pytest.mark.parametrize(
    ("method", "address"),
    [
        ("put", "search/"),
        ("delete", "molecules/catalogue/a/"),
        ("get", "lookup/"),
        ("patch", "libraries/catalogue/"),
    ],
)
def test_other_methods(anna: APIClient, method: str, address: str) -> None:
    response = getattr(anna, method)(f"/api/v1/{address}")
    problem.check(response, 405, method)
    assert response.headers["Allow"]


def test_reads_are_counted_and_the_wait_is_told(client: APIClient, anna: APIClient, settings: Any) -> None:
    settings.FERRY_RATES = {"anonymous": "2/hour", "member": "3/hour", "write": "off"}
    assert [client.get("/api/v1/search/?q=a").status_code for _ in range(3)] == [200, 200, 429]
    response = client.get("/api/v1/libraries/")
    problem.check(response, 429, "try again in")
    assert 1 <= int(response.headers["Retry-After"]) <= 3_600
    assert [anna.get("/api/v1/search/?q=a").status_code for _ in range(4)] == [200, 200, 200, 429]


def test_two_addresses_are_two_callers(client: APIClient, settings: Any) -> None:
    settings.FERRY_RATES = {"anonymous": "1/hour", "member": "off", "write": "off"}
    codes = [client.get("/api/v1/libraries/", REMOTE_ADDR=f"10.0.0.{n}").status_code for n in (1, 2, 1)]
    assert codes == [200, 200, 429]


def test_a_forged_forward_header_makes_no_new_caller(client: APIClient, settings: Any) -> None:
    settings.FERRY_RATES = {"anonymous": "1/hour", "member": "off", "write": "off"}
    codes = [client.get("/api/v1/libraries/", HTTP_X_FORWARDED_FOR=f"10.0.0.{n}").status_code for n in (1, 2)]
    assert codes == [200, 429]


def test_changes_have_a_rate_of_their_own(anna: APIClient, settings: Any) -> None:
    settings.FERRY_RATES = {"anonymous": "off", "member": "off", "write": "1/hour"}
    body = {"token": "u-5c0f", "name": "x"}
    codes = [anna.post("/api/v1/libraries/", body, format="json").status_code for _ in range(2)]
    assert codes == [202, 429]
    assert [anna.post("/api/v1/lookup/", ["a"], format="json").status_code for _ in range(2)] == [200, 200]


def test_rates_are_read_strictly() -> None:
    assert parse_rate("1200/minute") == (1200, 60)
    assert parse_rate("off") is None
    for wrong in ("", "many", "5/fortnight", "0/minute", "-1/minute", "5"):
        with pytest.raises(ImproperlyConfigured, match="number/period"):
            parse_rate(wrong)
