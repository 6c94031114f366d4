"""One molecule, its neighbours, drawings, and why it was found."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from tests.webapp.api import problem
from tests.webapp.api.conftest import SVG, Door
from workers.errors import NotFound

DEPICT = "/api/v1/depict/"


@pytest.mark.parametrize("identifier", ["geraniol", "CHEBI:17447", "a/b", "x y", "müller+1", "a%2Fb"])
def test_any_id_can_be_asked_for(client: APIClient, door: Door, identifier: str) -> None:
    from urllib.parse import quote

    response = client.get(f"/api/v1/molecules/catalogue/{quote(identifier)}/")
    assert response.json() == door.answers["molecule"]
    assert door.calls == [("molecule", ("catalogue", identifier), {})]


def test_neighbours(client: APIClient, door: Door) -> None:
    response = client.get("/api/v1/molecules/catalogue/a/b/neighbours/", {"k": 5})
    assert response.json() == door.answers["neighbours"]
    assert door.calls == [("neighbours", ("catalogue", "a/b"), {"k": 5})]
    problem.check(client.get("/api/v1/molecules/catalogue/a/neighbours/?k=101"), 400, "100", field="k")


def test_what_is_not_there_is_404(client: APIClient, door: Door) -> None:
    problem.check(client.get("/api/v1/molecules/nowhere/a/"), 404, "nowhere")
    door.raises["molecule"] = NotFound("catalogue has no molecule 'a'.")
    problem.check(client.get("/api/v1/molecules/catalogue/a/"), 404, "no molecule 'a'")


def test_a_drawing_is_kept_by_the_browser(client: APIClient, door: Door) -> None:
    asked = {
        "structure": "CCO",
        "width": 300,
        "height": 150,
        "theme": "dark",
        "atoms": "0, 2",
        "stereo": "hide",
    }
    first = client.get(DEPICT, asked)
    assert first.content == SVG
    assert first.headers["Content-Type"] == "image/svg+xml"
    assert first.headers["Cache-Control"] == "public, max-age=86400"
    assert "script" not in first.headers["Content-Security-Policy"]
    assert door.calls == [
        (
            "depict",
            ("CCO",),
            {"format": "svg", "width": 300, "height": 150, "theme": "dark", "atoms": (0, 2), "stereo": False},
        )
    ]
    again = client.get(DEPICT, asked, headers={"if-none-match": first.headers["ETag"]})
    assert again.status_code == 304
    assert again.content == b""
    assert again.headers["ETag"] == first.headers["ETag"]
    assert client.get(DEPICT, asked, headers={"if-none-match": '"old"'}).status_code == 200


def test_a_drawing_of_a_library_row_stays_private(client: APIClient, door: Door) -> None:
    response = client.get(DEPICT, {"library": "catalogue", "id": "geraniol", "format": "png"})
    assert response.headers["Content-Type"] == "image/png"
    assert response.headers["Cache-Control"].startswith("private")
    assert door.calls[-1][1] == (door.answers["molecule"]["molecule"]["smiles"],)
    problem.check(client.get(DEPICT, {"library": "annas-amines", "id": "1"}), 404)


def test_drawing_by_post(client: APIClient, door: Door) -> None:
    response = client.post(DEPICT, {"structure": "C\n" * 9_000, "atoms": [1, 2]}, format="json")
    assert response.content == SVG
    assert list(door.last("depict")["atoms"]) == [1, 2]


def test_the_browsers_accept_header_is_no_obstacle(client: APIClient) -> None:
    for accept in ("image/*", "text/html", "rubbish"):
        assert client.get(DEPICT, {"structure": "C"}, headers={"accept": accept}).status_code == 200
        problem.check(client.get(DEPICT, headers={"accept": accept}), 400, field="structure")


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({}, "structure"),
        ({"structure": ""}, "structure"),
        ({"structure": "C", "library": "catalogue", "id": "a"}, "structure"),
        ({"library": "catalogue"}, "id"),
        ({"id": "a"}, "library"),
        ({"structure": "C", "width": 100_000}, "width"),
        ({"structure": "C", "height": 3}, "height"),
        ({"structure": "C", "format": "gif"}, "format"),
        ({"structure": "C", "theme": "pink"}, "theme"),
        ({"structure": "C", "atoms": "1,x"}, "atoms"),
        ({"structure": "C", "atoms": "-1"}, "atoms"),
        ({"structure": "C", "atoms": "٣"}, "atoms"),
        ({"structure": "C", "wdith": 10}, "wdith"),
    ],
)
def test_bad_drawing_parameters(client: APIClient, parameters: dict[str, object], field: str) -> None:
    problem.check(client.get(DEPICT, parameters), 400, field=field)


def test_explanation(client: APIClient, door: Door) -> None:
    asked: dict[str, Any] = {"q": "rose alcohol", "library": "catalogue", "id": "geraniol"}
    assert client.get("/api/v1/explanation/", asked).json() == door.answers["explain"]
    assert door.calls == [("explain", ("rose alcohol", "catalogue", "geraniol"), {})]
    problem.check(client.get("/api/v1/explanation/", {"q": "a"}), 400, field="id")
    problem.check(
        client.get("/api/v1/explanation/", {**asked, "library": "annas-amines"}), 400, field="library"
    )


def test_comparison(client: APIClient, door: Door) -> None:
    asked = {"q": "rose", "library": "catalogue", "first": "geraniol", "second": "nerol"}
    assert client.get("/api/v1/comparison/", asked).json() == door.answers["compare"]
    assert door.calls == [("compare", ("rose", "catalogue", "geraniol", "nerol"), {})]
    del asked["second"]
    problem.check(client.get("/api/v1/comparison/", asked), 400, "missing", field="second")
