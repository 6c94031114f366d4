"""A door and a shelf of libraries without mlcore behind them, answering as in the examples."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone
from rest_framework.test import APIClient

from webapp.api import examples
from workers import inference, jobs, kinds, libraries, registry
from workers.errors import BadInput, NotFound
from workers.models import Job, ModelVersion

CATALOGUE = {**examples.LIBRARY_STATE}
PRIVATE = {**CATALOGUE, "id": "annas-amines", "name": "Anna's amines", "size": 3}
HALF_MADE = {**PRIVATE, "id": "annas-acids", "name": "Anna's acids", "size": 0, "status": "importing"}
PARAMETERS = {"data": {"source": "clouds.npz"}, "preset": "small", "overrides": {}}
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
def bells(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Bells that only note for which job they rang."""
    rung: list[str] = []
    monkeypatch.setattr(jobs, "ring", lambda job: rung.append(str(job.pk)))
    return rung


@pytest.fixture
def job(db: None, bells: list[str]) -> Callable[..., Job]:
    """``job("running", owner, kind="monge", **fields)``: a row that stands so."""

    def make(state: str, owner: Any = None, *, kind: str = "monge", **fields: Any) -> Job:
        now = timezone.now()
        facts: dict[str, Any] = {"queue": kinds.find(kind).queue, "parameters": copy.deepcopy(PARAMETERS)}
        if state != "queued":
            facts |= {"started": now - timedelta(seconds=60), "attempts": 1, "token": 1}
        if state in Job.HELD:
            facts |= {"lease_until": now + timedelta(hours=1), "heartbeat": now, "worker": "lab:41"}
            facts |= {"progress": {"done": 30, "total": 120, "rate": 1.5, "seconds_left": 60.0}}
        elif state != "queued":
            facts |= {"finished": now}
        return Job.objects.create(state=state, kind=kind, owner=owner, **(facts | fields))

    return make


@pytest.fixture
def house(tmp_path: Path, settings: Any) -> Path:
    """Empty folders for data and models; one data set, ``clouds.npz``."""
    settings.FERRY_DATA, settings.FERRY_MODELS = tmp_path / "data", tmp_path / "models"
    for folder in (settings.FERRY_DATA, settings.FERRY_MODELS, settings.FERRY_DATA / "datasets"):
        folder.mkdir()
    (settings.FERRY_DATA / "datasets" / "clouds.npz").write_bytes(b"0123456789")
    return settings.FERRY_DATA


@pytest.fixture
def version(house: Path, db: None) -> Callable[..., ModelVersion]:
    """``version(width=64, job=job)``: a registered version with 1,000 bytes of weights."""

    def make(area: str = "monge", job: Job | None = None, **config: Any) -> ModelVersion:
        number = ModelVersion.objects.count() + 1
        folder = house / "made" / str(number)
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(bytes(1_000))
        (folder / "config.json").write_text(json.dumps({"layers": 3, **config}))
        card = {"sha256": f"{number:064x}", "metrics": {"l2_uvp": 2.5}, "training": {"seed": number}}
        (folder / "card.json").write_text(json.dumps(card))
        return registry.register(area, "", folder, job)

    return make


@pytest.fixture
def tina(client: APIClient, account: Callable[..., Any]) -> APIClient:
    """The client of a trainer."""
    return as_user(account("tina", "trainer"))


@pytest.fixture
def ada(client: APIClient, account: Callable[..., Any]) -> APIClient:
    """The client of an administrator, by role and not as superuser."""
    return as_user(account("ada", "admin"))


def as_user(user: Any) -> APIClient:
    """A client of ``user``, who is its attribute too."""
    out = APIClient(raise_request_exception=False)
    out.force_authenticate(user)
    out.user = user
    return out


@pytest.fixture
def anna(client: APIClient, account: Callable[..., Any]) -> APIClient:
    """The client of a member, who owns one library."""
    return as_user(account("anna"))


@contextmanager
def undone(house: Path) -> Iterator[None]:
    """Whatever is done inside to the database and to the files of ``house`` is undone at the end."""
    kept = house.with_name("kept")
    if not kept.exists():
        shutil.copytree(house, kept)
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
    shutil.rmtree(house)
    shutil.copytree(kept, house)
