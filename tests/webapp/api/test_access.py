"""Who may call what: every address for nobody, a viewer, a member and the owner."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.urls import get_resolver
from rest_framework.test import APIClient

from tests.webapp.api import problem

V1 = "/api/v1/"
ROW = {"library": "catalogue", "id": "geraniol"}
MINE = {"library": "annas-amines", "id": "1"}
TOKEN = {"token": "u-5c0f", "name": "x"}

# url name, method, address, data, status for: nobody, viewer, member bob, owner anna
CLOUDS = {
    "source": {"sample": "moons", "n": 5, "seed": 1},
    "target": {"sample": "ring", "n": 6, "seed": 2},
}
TABLE: list[tuple[str, str, str, Any, tuple[int, int, int, int]]] = [
    ("search", "get", "search/", {"q": "a"}, (200, 200, 200, 200)),
    ("search", "post", "search/", {"q": "a"}, (200, 200, 200, 200)),
    ("search", "get", "search/", {"q": "a", "library": "annas-amines"}, (400, 400, 400, 200)),
    ("suggest", "get", "suggest/", {"q": "a"}, (200, 200, 200, 200)),
    ("suggest", "get", "suggest/", {"q": "a", "library": "annas-amines"}, (400, 400, 400, 200)),
    ("molecule", "get", "molecules/catalogue/a/", {}, (200, 200, 200, 200)),
    ("molecule", "get", "molecules/annas-amines/1/", {}, (404, 404, 404, 200)),
    ("neighbours", "get", "molecules/catalogue/a/neighbours/", {}, (200, 200, 200, 200)),
    ("neighbours", "get", "molecules/annas-amines/1/neighbours/", {}, (404, 404, 404, 200)),
    ("depict", "get", "depict/", ROW, (200, 200, 200, 200)),
    ("depict", "post", "depict/", {"structure": "C"}, (200, 200, 200, 200)),
    ("depict", "get", "depict/", MINE, (404, 404, 404, 200)),
    ("depict", "post", "depict/", MINE, (404, 404, 404, 200)),
    ("describe", "post", "structures/describe/", {"structure": "C"}, (200, 200, 200, 200)),
    (
        "describe",
        "post",
        "structures/describe/",
        {"structure": "C", "library": ["annas-amines"]},
        (400, 400, 400, 200),
    ),
    ("explanation", "get", "explanation/", {"q": "a", **ROW}, (200, 200, 200, 200)),
    ("explanation", "get", "explanation/", {"q": "a", **MINE}, (400, 400, 400, 200)),
    (
        "comparison",
        "get",
        "comparison/",
        {"q": "a", "library": "catalogue", "first": "1", "second": "2"},
        (200,) * 4,
    ),
    (
        "comparison",
        "get",
        "comparison/",
        {"q": "a", "library": "annas-amines", "first": "1", "second": "2"},
        (400, 400, 400, 200),
    ),
    ("lookup", "post", "lookup/", ["a"], (200, 200, 200, 200)),
    ("lookup", "post", "lookup/", {"items": ["a"], "library": ["annas-amines"]}, (400, 400, 400, 200)),
    ("export", "get", "export/", {"format": "csv", "row": "catalogue:a"}, (200, 200, 200, 200)),
    ("export", "get", "export/", {"format": "csv", "row": "annas-amines:1"}, (400, 400, 400, 200)),
    ("export", "post", "export/", {"format": "csv", "rows": [ROW]}, (200, 200, 200, 200)),
    ("export", "post", "export/", {"format": "csv", "rows": [MINE]}, (400, 400, 400, 200)),
    (
        "export",
        "post",
        "export/",
        {"format": "csv", "search": {"q": "a", "library": ["annas-amines"]}},
        (400, 400, 400, 200),
    ),
    ("libraries", "get", "libraries/", {}, (200, 200, 200, 200)),
    ("libraries", "post", "libraries/", TOKEN, (401, 403, 202, 202)),
    ("library", "get", "libraries/catalogue/", {}, (200, 200, 200, 200)),
    ("library", "get", "libraries/annas-amines/", {}, (404, 404, 404, 200)),
    ("library", "delete", "libraries/annas-amines/", {}, (401, 403, 404, 204)),
    ("library", "delete", "libraries/catalogue/", {}, (401, 403, 403, 403)),
    ("upload", "get", "uploads/u-5c0f/", {}, (401, 404, 404, 200)),
    ("upload-refused", "get", "uploads/u-5c0f/refused/", {}, (401, 404, 404, 404)),
    ("job", "get", "jobs/8d0f5a0e/", {}, (401, 404, 404, 200)),
    ("job-stop", "post", "jobs/8d0f5a0e/stop/", {}, (401, 404, 404, 200)),
    ("transport-solvers", "get", "transport/solvers/", {}, (200, 200, 200, 200)),
    ("transport-plan", "post", "transport/plan/", CLOUDS, (200, 200, 200, 200)),
    ("transport-estimate", "post", "transport/estimate/", CLOUDS, (200, 200, 200, 200)),
    ("transport-file", "post", "transport/file/", {**CLOUDS, "format": "links.csv"}, (200, 200, 200, 200)),
    ("transport-sweep", "post", "transport/sweep/", CLOUDS, (200, 200, 200, 200)),
    (
        "transport-map",
        "post",
        "transport/map/",
        {**CLOUDS, "parameters": {"seconds": 1}},
        (200, 200, 200, 200),
    ),
    ("transport-map-estimate", "post", "transport/map/estimate/", CLOUDS, (200, 200, 200, 200)),
]


@pytest.fixture
def callers(client: APIClient, anna: APIClient, account: Callable[..., Any]) -> list[APIClient]:
    out = [client]
    for name, role in (("viola", "viewer"), ("bob", "member")):
        other = APIClient(raise_request_exception=False)
        other.force_authenticate(account(name, role))
        out.append(other)
    return [*out, anna]


@pytest.mark.parametrize(("name", "method", "address", "data", "expected"), TABLE)
def test_table(
    callers: list[APIClient], name: str, method: str, address: str, data: Any, expected: tuple[int, ...]
) -> None:
    options = {} if method == "get" else {"format": "json"}
    got = [getattr(caller, method)(V1 + address, data, **options) for caller in callers]
    assert tuple(response.status_code for response in got) == expected
    for response in got:
        if response.status_code >= 400:
            body = problem.check(response, response.status_code)
            assert "Anna" not in body["detail"]


def test_the_table_names_every_address_and_method() -> None:
    from webapp.api.urls import v1

    served = {
        (pattern.name, method)
        for pattern in v1
        for method in ("get", "post", "put", "patch", "delete")
        if hasattr(pattern.callback.cls, method)
    }
    assert served == {(name, method) for name, method, *_ in TABLE}
    assert get_resolver().reverse_dict is not None


def test_a_token_is_the_account(client: APIClient, account: Callable[..., Any]) -> None:
    from webapp.accounts.models import ApiToken

    user = account("anna")
    _, secret = ApiToken.objects.issue(user, "test")
    for word in ("Bearer", "Token", "bearer"):
        found = client.get(f"{V1}libraries/annas-amines/", headers={"authorization": f"{word} {secret}"})
        assert found.status_code == 200
    made = client.post(f"{V1}libraries/", TOKEN, format="json", headers={"authorization": f"Bearer {secret}"})
    assert made.status_code == 202
    user.is_active = False
    user.save()
    refused = client.get(f"{V1}search/?q=a", headers={"authorization": f"Bearer {secret}"})
    problem.check(refused, 401, "token")


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer wrong", "Bearer a b", "Token é", "Bearer " + "x" * 5_000]
)
def test_a_wrong_token_is_told(client: APIClient, header: str) -> None:
    response = client.get(f"{V1}search/?q=a", headers={"authorization": header})
    problem.check(response, 401, "token")
    assert response.headers["WWW-Authenticate"] == "Bearer"


def test_a_browser_needs_its_csrf_token_to_change_something(
    door: Any, shelf: Any, account: Callable[..., Any]
) -> None:
    browser = APIClient(enforce_csrf_checks=True)
    browser.force_login(account("anna"))
    problem.check(browser.post(f"{V1}libraries/", TOKEN, format="json"), 403, "csrf")
    assert browser.get(f"{V1}libraries/annas-amines/").status_code == 200
    assert shelf.imports == []
