"""This search as code: both programs, run for real, ask the server the same as the page did."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import Any

import pytest

from tests.webapp.api.conftest import Door, Shelf
from webapp.api.as_code import as_code

HARD = [
    {"q": "a monoterpenoid alcohol that smells of roses", "k": 1},
    {"q": 'it\'s "quoted" $HOME `id` \\ & ; % + #1', "library": ["catalogue"]},
    {"q": "@/etc/passwd", "weight_max": 200.5, "sort": "-weight"},
    {"q": "\n  drawn\n\nM  END\n", "read_as": "molfile"},
    {"q": "שלום 🧪 é", "library": ["catalogue", "catalogue@5b1c"]},
    {"q": "=C", "substructure": "[#6]=[#8]"},
]


@pytest.fixture
def asked(door: Door, shelf: Shelf) -> Any:
    def last() -> tuple[Any, ...]:
        return door.calls[-1]

    return last


def run(program: str, language: str) -> str:
    """The standard output of a program, run outside this process without any proxy."""
    command = ["bash", "-c", program] if language == "curl" else [sys.executable, "-I", "-c", program]
    quiet = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=quiet, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.mark.parametrize("language", ["curl", "python"])
@pytest.mark.parametrize("parameters", HARD)
def test_it_runs_and_asks_the_same(
    live_server: Any, client: Any, asked: Any, parameters: dict[str, Any], language: str
) -> None:
    if language == "curl":
        assert shutil.which("curl"), "curl is needed for this test"
    assert client.get("/api/v1/search/", parameters).status_code == 200
    expected = asked()
    output = run(as_code(parameters, live_server.url)[language], language)
    assert asked() == expected
    assert "geraniol" in output


def test_pairs_and_names_are_the_same() -> None:
    assert as_code({"q": "a", "library": ["x", "y"]}, "http://h/") == as_code(
        [("q", "a"), ("library", "x"), ("library", "y")], "http://h"
    )


def test_a_refused_search_ends_with_an_error(live_server: Any, door: Door, shelf: Shelf) -> None:
    program = as_code({"q": "a", "k": 0}, live_server.url)["curl"]
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 22
    assert "the least is 1" in done.stdout


@pytest.mark.parametrize("language", ["curl", "python"])
def test_with_a_token(
    live_server: Any, door: Door, shelf: Shelf, account: Any, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from webapp.accounts.models import ApiToken

    _, secret = ApiToken.objects.issue(account("anna"), "test")
    monkeypatch.setenv("FERRY_TOKEN", secret)
    program = as_code({"q": "a", "library": ["annas-amines"]}, live_server.url, token=True)[language]
    assert secret not in program
    assert "geraniol" in run(program, language)
