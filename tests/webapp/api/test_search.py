"""Search and suggestions: parameters in, the door's answer out."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from rest_framework.test import APIClient

from tests.webapp.api import problem
from tests.webapp.api.conftest import Door
from webapp.api import examples
from workers.errors import BadInput, Busy

SEARCH = "/api/v1/search/"


def test_the_answer_is_the_doors_answer(client: APIClient, door: Door) -> None:
    response = client.get(SEARCH, {"q": "smells of roses", "k": 1})
    assert response.status_code == 200
    assert response.json() == door.answers["search"]


def test_every_parameter_reaches_the_door(client: APIClient, door: Door) -> None:
    given = {
        "q": "CCO",
        "read_as": "smiles",
        "mode": "similar",
        "same": "parent",
        "stereo": "ignore",
        "sort": "-weight",
        "k": 7,
        "offset": 14,
        "facets": True,
        "library": ["catalogue"],
        "substructure": "[#8]",
        "similar_to": "CCC",
        "similarity": 0.4,
        "elements": "C,O",
        "without": "Br",
        "only": "C,H,O",
        "mass": 46.0419,
        "mass_tolerance": "0.01Da",
        "category": "solvents",
        "weight_min": 40,
        "weight_max": 50.5,
        "charge_min": -1,
        "rotatable_max": 3,
    }
    assert client.get(SEARCH, given).status_code == 200
    told = door.last("search")
    filters = told.pop("filters")
    assert told == {
        "text": "CCO",
        "read_as": "smiles",
        "mode": "similar",
        "same": "parent",
        "stereo": "ignore",
        "sort": "-weight",
        "k": 7,
        "offset": 14,
        "facets": True,
        "libraries": ("catalogue",),
    }
    plain = ("q", "read_as", "mode", "same", "stereo", "sort", "k", "offset", "facets", "library")
    assert filters == {name: value for name, value in given.items() if name not in plain}


def test_facets_come_only_when_asked_for(client: APIClient, door: Door) -> None:
    client.get(SEARCH, {"q": "rose"})
    assert "facets" not in door.last("search")
    door.answers["search"]["facets"] = examples.FACETS
    assert client.get(SEARCH, {"q": "rose", "facets": "true"}).json()["facets"] == examples.FACETS
    assert client.post(SEARCH, {"q": "rose", "facets": True}, format="json").status_code == 200
    assert door.last("search")["facets"] is True


def test_get_and_post_ask_the_door_the_same(client: APIClient, door: Door) -> None:
    client.get(SEARCH, {"q": "rose", "library": ["catalogue"], "logp_max": 3})
    client.post(SEARCH, {"q": "rose", "library": ["catalogue"], "logp_max": 3}, format="json")
    assert door.calls[0] == door.calls[1]


def test_text_arrives_as_it_was_written(client: APIClient, door: Door) -> None:
    molfile = "\n  editor\n\n  0  0  0  0  0  0            999 V2000\nM  END\n"
    for text in (molfile, "  spaces  ", "🧪 שלום \u202eabc", "b\tc"):
        assert client.get(SEARCH, {"q": text}).status_code == 200
        assert door.last("search")["text"] == text


def test_links_lead_through_all_pages(client: APIClient, door: Door) -> None:
    door.answers["search"] |= {"total": 45, "k": 20, "offset": 20}
    link = client.get(SEARCH, {"q": "a & b", "k": 20, "offset": 20, "weight_max": 90}).headers["Link"]
    assert f'<http://testserver{SEARCH}?q=a+%26+b&k=20&weight_max=90&offset=40>; rel="next"' in link
    assert 'offset=0>; rel="prev"' in link
    door.answers["search"] |= {"total": 45, "offset": 40}
    assert "next" not in client.get(SEARCH, {"q": "a", "offset": 40}).headers["Link"]


def test_a_changed_pin_is_told(client: APIClient, door: Door) -> None:
    same = client.get(SEARCH, {"q": "a", "library": "catalogue@5b1c", "model": "9f2a"})
    assert same.json()["notes"] == []
    moved = client.get(SEARCH, {"q": "a", "library": "catalogue@0000", "model": "1111"}).json()["notes"]
    assert len(moved) == 2
    assert "1111" in moved[0]
    assert "catalogue" in moved[1]
    assert door.last("search")["libraries"] == ("catalogue",)


@pytest.mark.parametrize(
    ("parameters", "field", "words"),
    [
        ({}, "q", ["missing"]),
        ({"q": ""}, "q", ["empty"]),
        ({"q": "   "}, "q", ["empty"]),
        ({"q": "a", "k": 100_000}, "k", ["the limit is 200"]),
        ({"q": "a", "k": 0}, "k", ["the least is 1"]),
        ({"q": "a", "k": "many"}, "k", ["not a whole number"]),
        ({"q": "a", "k": "9" * 5_000}, "k", ["k: "]),
        ({"q": "a", "offset": -1}, "offset", ["the least is 0"]),
        ({"q": "a", "offset": 1.5}, "offset", ["not a whole number"]),
        ({"q": "a", "read_as": "poem"}, "read_as", ["'poem' is not one of", "prose"]),
        ({"q": "a", "same": "family"}, "same", ["'family' is not one of", "tautomer"]),
        ({"q": "a", "facets": "some"}, "facets", ["true or false"]),
        ({"q": "a", "sort": "beauty"}, "sort", ["'beauty' is not one of", "-weight"]),
        ({"q": "a", "weight_min": "heavy"}, "weight_min", ["not a number"]),
        ({"q": "a", "weight_min": "nan"}, "weight_min", ["not a number"]),
        ({"q": "a", "logp_max": "inf"}, "logp_max", ["not a number"]),
        ({"q": "a", "weight_min": 9, "weight_max": 2}, "weight_min", ["9 is above", "2"]),
        ({"q": "a", "similarity": 0.5}, "similarity", ["similar_to"]),
        ({"q": "a", "mass_tolerance": "5ppm"}, "mass_tolerance", ["needs mass"]),
        ({"q": "a", "similarity": 7, "similar_to": "C"}, "similarity", ["1"]),
        ({"q": "a", "weigth_min": 9}, "weigth_min", ["did you mean 'weight_min'"]),
        ({"q": "a", "zzz": 9}, "zzz", ["known here"]),
        ({"q": ["a", "b"]}, "q", ["2 times"]),
        ({"q": "a", "library": "nowhere"}, "library", ["nowhere", "catalogue"]),
        ({"q": "a", "library": "annas-amines"}, "library", ["annas-amines", "catalogue"]),
        ({"q": "a", "library": ["catalogue"] * 51}, "library", ["more than 50"]),
        ({"q": "a\x00b"}, "q", ["null characters"]),
        ({"q": "é" * 100_001}, "q", ["longer than 100,000 characters"]),
        ({"q": "a", "substructure": "C" * 5_001}, "substructure", ["5,000"]),
    ],
)
def test_bad_parameters_are_named(
    client: APIClient, door: Door, parameters: dict[str, object], field: str, words: list[str]
) -> None:
    problem.check(client.get(SEARCH, parameters), 400, *words, field=field)
    assert door.calls == []


def test_all_faults_come_at_once(client: APIClient) -> None:
    body = problem.check(client.get(SEARCH, {"q": "a", "k": "x", "offset": "y", "logp_min": "z"}), 400)
    assert {error["field"] for error in body["errors"]} == {"k", "offset", "logp_min"}


def test_percent_encoded_rubbish_is_no_server_fault(client: APIClient) -> None:
    for raw in ("%ff%fe", "%00", quote("\ud800", errors="surrogatepass"), "%", "&&&=", "%E2%80%AE" * 50):
        assert client.get(f"{SEARCH}?q={raw}").status_code in {200, 400}


def test_faults_of_the_door_are_problems(client: APIClient, door: Door) -> None:
    door.raises["search"] = BadInput("Atom 3 has too many bonds.", "q", "Mend the SMILES.")
    body = problem.check(client.get(SEARCH, {"q": "C"}), 400, "atom 3", "mend", field="q")
    assert body["errors"][0]["remedy"] == "Mend the SMILES."
    door.raises["search"] = Busy("All seats are taken.")
    busy = client.get(SEARCH, {"q": "C"})
    problem.check(busy, 503, "seats")
    assert int(busy.headers["Retry-After"]) > 0


def test_a_fault_of_the_server_tells_no_secrets(
    client: APIClient, door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    door.raises["search"] = RuntimeError("password=hunter2")
    response = client.get(SEARCH, {"q": "C"})
    body = problem.check(response, 500, "request_id")
    assert "hunter2" not in response.content.decode()
    assert body["request_id"] in caplog.text
    assert "hunter2" in caplog.text


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"[1, 2]", "application/json", 400),
        (b'"text"', "application/json", 400),
        (b"null", "application/json", 400),
        (b'{"q": NaN}', "application/json", 400),
        (b'{"q": ["a"]}', "application/json", 400),
        (b'{"q": null}', "application/json", 400),
        (b'{"q": "a", "k": {}}', "application/json", 400),
        (b'{"q": "a", "library": "catalogue"}', "application/json", 400),
        (b'{"q": "\\ud800"}', "application/json", 400),
        (b"[" * 200_000, "application/json", 400),
        (b'{"q": "a"}' + b" " * 4_000_001, "application/json", 413),
        (b"q=a", "text/plain", 415),
        (b"q=a", "application/x-www-form-urlencoded", 415),
        (b"q=a", "rubbish", 415),
    ],
)
def test_bad_bodies_are_named(
    client: APIClient, door: Door, content: bytes, content_type: str, status: int
) -> None:
    problem.check(client.generic("POST", SEARCH, content, content_type), status)
    assert door.calls == []


def test_a_query_beside_a_body_is_refused(client: APIClient) -> None:
    problem.check(client.post(f"{SEARCH}?k=5", {"q": "a"}, format="json"), 400, field="k")


def test_suggest(client: APIClient, door: Door) -> None:
    response = client.get("/api/v1/suggest/", {"q": "ger", "k": 3})
    assert response.json() == door.answers["suggest"]
    assert door.calls == [("suggest", ("ger",), {"libraries": ("catalogue",), "k": 3})]
    problem.check(client.get("/api/v1/suggest/"), 400, "missing", field="q")
    problem.check(client.get("/api/v1/suggest/", {"q": "a" * 201}), 400, "200", field="q")
