"""Bad input through the whole house, over the real door: a clear problem or an honest answer, never a 500."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from tests.webapp.api import problem
from tests.webapp.api.conftest import CATALOGUE
from workers import engine, libraries

LONG_CHAIN = "C" * 10_000
BOMB = "[$(*~*~*~*~*~*~*~*~*~*~*)]~" * 40 + "*"
NESTED = "[$(" * 200 + "C" + ")]" * 200
MOLFILE = "\n  x\n\n999999  0  0  0  0  0            999 V2000\nM  END\n"
TEXTS = [
    "C1CC",
    "C(C)(C)(C)(C)C",
    "c1ccccc",
    "[Xx]",
    LONG_CHAIN,
    "InChI=1S/garbage",
    "AAAAAAAAAAAAAA-BBBBBBBBBB-N",
    "C9H8O4" * 50,
    "C999999999",
    MOLFILE,
    MOLFILE + "M  V30 BEGIN",
    BOMB,
    NESTED,
    "🧪" * 100,
    "\u202eשלום עולם\u202c",
    "\u0301" * 1_000,
    "word " * 5_000,
    "x" * 99_999,
    "' OR 1=1; --",
    '"*" AND (NEAR OR',
    "{{7*7}} <script>alert(1)</script>",
    "%s %d {0} \\x00",
    "\ufffe\uffff",
    "\n\n\n.",
    "-",
    "*",
]


class Small(engine.Engine):
    """The real engine over the small library of the retrieval tests."""

    def loaded(self) -> Any:
        """What would have been loaded."""
        from tests.mlcore.retrieval import small

        return SimpleNamespace(
            model=small.model(), libraries={"small": small.library()}, searcher=small.searcher(), faults={}
        )


@pytest.fixture
def real(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[APIClient]:
    """An anonymous client before the real door."""
    monkeypatch.setattr(libraries, "list_libraries", lambda user: [{**CATALOGUE, "id": "small"}])
    engine.use(Small())
    yield APIClient(raise_request_exception=False)
    engine.use(None)


def fine(response: Any) -> None:
    """Assert an answer, or a problem that says what was wrong."""
    if response.status_code == 200:
        return
    body = problem.check(response, response.status_code)
    assert response.status_code in {400, 404}, body
    assert len(body["detail"]) > 15
    assert "Traceback" not in body["detail"]
    assert len(body["detail"]) < 1_000


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
@pytest.mark.parametrize(
    "read_as", ["auto", "smiles", "smarts", "molfile", "name", "formula", "inchi", "inchikey"]
)
def test_search(real: APIClient, text: str, read_as: str) -> None:
    fine(real.post("/api/v1/search/", {"q": text, "read_as": read_as, "k": 3}, format="json"))


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_filters(real: APIClient, text: str) -> None:
    for name in ("substructure", "similar_to", "elements", "without", "only", "mass_tolerance", "category"):
        body = {"q": "alcohol", name: text, "k": 2} | ({"mass": 46} if name == "mass_tolerance" else {})
        fine(real.post("/api/v1/search/", body, format="json"))


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_structures(real: APIClient, text: str) -> None:
    fine(real.post("/api/v1/depict/", {"structure": text, "atoms": [0, 90_000]}, format="json"))
    fine(real.post("/api/v1/structures/describe/", {"structure": text}, format="json"))
    fine(real.get("/api/v1/suggest/", {"q": text[:200]}))


def test_a_whole_list_of_it(real: APIClient) -> None:
    response = real.post("/api/v1/lookup/", ["", *TEXTS], format="json")
    assert response.status_code == 200
    assert len(response.json()["items"]) == len(TEXTS) + 1


@pytest.mark.parametrize("identifier", ["nowhere", "M001\u202e", "..", "../../etc/passwd", "'", "M" * 299])
def test_ids(real: APIClient, identifier: str) -> None:
    row = {"library": "small", "id": identifier}
    for response in (
        real.get("/api/v1/depict/", row),
        real.get("/api/v1/explanation/", {"q": "alcohol", **row}),
        real.get(
            "/api/v1/comparison/", {"q": "a", "library": "small", "first": identifier, "second": "M001"}
        ),
        real.get("/api/v1/export/", {"format": "csv", "row": f"small:{identifier}"}),
    ):
        problem.check(response, 404, identifier[:20])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    parameters=st.dictionaries(
        st.sampled_from(
            ["q", "k", "offset", "sort", "library", "weight_min", "substructure", "read_as", "model", "x"]
        ),
        st.one_of(
            st.text(max_size=30), st.integers(), st.floats(), st.lists(st.text(max_size=5), max_size=3)
        ),
        max_size=5,
    )
)
def test_whatever_is_sent(real: APIClient, parameters: dict[str, Any]) -> None:
    fine(real.get("/api/v1/search/", parameters))
