"""A door and a shelf of libraries without mlcore behind them, answering as in the examples."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from rest_framework.test import APIClient

from webapp.api import examples
from workers import inference, libraries
from workers.errors import BadInput, NotFound

CATALOGUE = {**examples.LIBRARY_STATE}
PRIVATE = {**CATALOGUE, "id": "annas-amines", "name": "Anna's amines", "size": 3}
HALF_MADE = {**PRIVATE, "id": "annas-acids", "name": "Anna's acids", "size": 0, "status": "importing"}
SVG = b"<svg xmlns='http://www.w3.org/2000/svg'/>"
ANSWERS: dict[str, Any] = {
    "search": examples.SEARCH.value,
    "suggest": examples.SUGGEST.value,
    "molecule": examples.MOLECULE.value,
    "neighbours": examples.NEIGHBOURS.value,
    "explain": examples.EXPLANATION.value,
    "compare": examples.COMPARISON.value,
    "describe": examples.DESCRIBE.value,
    "lookup": examples.LOOKUP.value,
    "depict": SVG,
    "export": ("ferry.csv", "text/csv", b"id\r\ngeraniol\r\n", []),
}


class Door:
    """Stands in for ``workers.inference``: answers as in the examples and notes every call.

    ``raises[verb]`` is raised instead of an answer; ``calls`` holds (verb, positional, keyword) of each call.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.raises: dict[str, Exception] = {}
        self.answers = copy.deepcopy(ANSWERS)

    def verb(self, name: str) -> Callable[..., Any]:
        """The stand-in of one verb."""

        def answer(*positional: Any, **keyword: Any) -> Any:
            self.calls.append((name, positional, keyword))
            if name in self.raises:
                raise self.raises[name]
            return copy.deepcopy(self.answers[name])

        return answer

    def last(self, name: str) -> dict[str, Any]:
        """The keyword arguments of the latest call of a verb."""
        return [keyword for verb, _, keyword in self.calls if verb == name][-1]


class Shelf:
    """Stands in for ``workers.libraries``: one public library, two that belong to the user ``anna``."""

    def __init__(self) -> None:
        self.imports: list[tuple[str, str]] = []
        self.uploads: list[bytes] = []
        self.asked: list[str] = []

    def list_libraries(self, user: Any) -> list[dict[str, Any]]:
        """The public one, and for anna her own two."""
        mine = [{**PRIVATE, "mine": True}, {**HALF_MADE, "mine": True}]
        return [CATALOGUE, *mine] if user.username == "anna" else [CATALOGUE]

    def check_upload(self, file: Any, user: Any, name: str = "") -> dict[str, Any]:
        """A job, unless the file is empty."""
        content = file.read()
        self.uploads.append(content)
        if not content.strip():
            raise BadInput("The file is empty.", "file", "Send a file with at least one molecule.")
        return copy.deepcopy(examples.CHECK_STATE)

    def import_upload(self, file: Any, name: str, user: Any) -> dict[str, Any]:
        """A job, as of a file that was checked."""
        self.check_upload(file, user)
        return self.start_import("u-5c0f", name, user)

    def upload_status(self, token: str, user: Any) -> dict[str, Any]:
        """The report of the one token there is."""
        if user.username != "anna" or token != "u-5c0f":
            raise NotFound("This upload is no longer here.")
        self.asked.append(token)
        return copy.deepcopy(examples.UPLOAD.value)

    def start_import(self, token: str, name: str, user: Any) -> dict[str, Any]:
        """A job, for the one token there is."""
        if token != "u-5c0f":
            raise NotFound("There is no checked upload with this token. Send the file again.")
        self.imports.append((token, name))
        return copy.deepcopy(examples.JOB_STATE)

    def job_status(self, job: str, user: Any) -> dict[str, Any]:
        """Anna's one job."""
        if user.username != "anna" or job != "8d0f5a0e":
            raise NotFound("You have no job with this id.")
        return copy.deepcopy(examples.JOB_STATE)

    def stop_job(self, job: str, user: Any) -> dict[str, Any]:
        """The same, stopped."""
        return {**self.job_status(job, user), "state": "stopped"}

    def delete_library(self, library: str, user: Any) -> None:
        """Only anna's own."""
        if library == CATALOGUE["id"]:
            raise PermissionDenied("This library comes with Ferry and cannot be deleted.")
        if user.username != "anna" or library != PRIVATE["id"]:
            raise NotFound("You have no library with this id.")


@pytest.fixture(autouse=True)
def _fresh_counters() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> Door:
    """The inference door, replaced."""
    fake = Door()
    for name in ANSWERS:
        monkeypatch.setattr(inference, name, fake.verb(name))
    return fake


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """The libraries, replaced."""
    fake = Shelf()
    for name in (
        "list_libraries",
        "check_upload",
        "import_upload",
        "upload_status",
        "start_import",
        "job_status",
        "stop_job",
        "delete_library",
    ):
        monkeypatch.setattr(libraries, name, getattr(fake, name))
    return fake


@pytest.fixture
def client(door: Door, shelf: Shelf, db: None) -> APIClient:
    """An anonymous client; a fault of the server shows as the answer that a user would get."""
    return APIClient(raise_request_exception=False)


@pytest.fixture
def account(db: None, django_user_model: Any) -> Callable[..., Any]:
    """Makes an account with a role."""

    def make(name: str, role: str = "member") -> Any:
        user = django_user_model.objects.create_user(name)
        user.groups.add(Group.objects.get(name=role))
        return user

    return make


@pytest.fixture
def anna(client: APIClient, account: Callable[..., Any]) -> APIClient:
    """The client of a member, who owns one library and one job."""
    mine = APIClient(raise_request_exception=False)
    mine.force_authenticate(account("anna"))
    return mine
