"""Who may open which page, and who may do what there; with the table of the API, every address that the site has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import URLResolver, get_resolver, resolve

from tests.webapp import decoding_fakes, fakes
from tests.webapp.api import test_access as api
from tests.webapp.api.conftest import undone
from webapp.accounts.models import ApiToken, User
from webapp.search import uploads
from workers import inference, libraries, registry
from workers.models import AuditEntry, Evaluation, Job, Library, ModelVersion, Worker

TRAINING, CHECK, RUNNING = api.TRAINING, api.CHECK, api.RUNNING
Statuses = tuple[int, int, int, int, int, int]
EVERYBODY = (200,) * 6
INCOMPLETE = (422,) * 6  # a question without clouds: the same word to everybody
ACCOUNTS = (302, 200, 200, 200, 200, 200)
TRAINERS = (302, 403, 403, 403, 200, 200)
ADMINISTRATORS = (302, 403, 403, 403, 403, 200)
TRAINERS_DO = (302, 403, 403, 403, 302, 302)
ADMINISTRATORS_DO = (302, 403, 403, 403, 403, 302)
OWNER_SEES = (302, 404, 404, 200, 200, 200)
STAFF = (302, 302, 302, 302, 302, 200)
STAFF_GET_403 = (302, 302, 302, 302, 302, 403)
ALL_MOVED = (302,) * 6
MOLECULE = "/molecules/catalogue/F0001"
PASSWORD = "correct horse battery"


def upload() -> dict[str, Any]:
    """A form with a file."""
    return {"file": SimpleUploadedFile("terpenes.csv", b"SMILES\nCCO\n"), "name": "x"}


# method, address, data, status for: nobody, viewer, member bob, owner anna, trainer tina, administrator ada
TABLE: list[tuple[str, str, Any, Statuses]] = [
    ("get", "/", {}, EVERYBODY),
    ("get", "/?q=roses", {}, EVERYBODY),
    ("get", "/suggest/?q=ger", {}, EVERYBODY),
    ("get", "/drawing.svg?s=CCO", {}, EVERYBODY),
    ("get", "/texts/?s=CCO", {}, EVERYBODY),
    ("get", "/basket/", {}, EVERYBODY),
    ("post", "/export/", {"format": "csv", "pick": "catalogue:F0001"}, EVERYBODY),
    ("get", "/compare/?q=roses&library=catalogue&first=F0000&second=F0001", {}, EVERYBODY),
    ("get", "/lookup/", {}, EVERYBODY),
    ("post", "/lookup/", {"items": "aspirin"}, EVERYBODY),
    ("post", "/lookup/export/", {"items": "aspirin", "format": "csv"}, EVERYBODY),
    ("get", "/help/", {}, EVERYBODY),
    ("get", f"{MOLECULE}.svg", {}, EVERYBODY),
    ("get", f"{MOLECULE}.png", {}, EVERYBODY),
    ("get", f"{MOLECULE}.mol", {}, EVERYBODY),
    ("get", f"{MOLECULE}/neighbours/", {}, EVERYBODY),
    ("get", f"{MOLECULE}/texts/", {}, EVERYBODY),
    ("get", f"{MOLECULE}/", {}, EVERYBODY),
    ("get", "/molecules/annas-amines/F0001/", {}, (404, 404, 404, 200, 404, 404)),
    ("get", "/libraries/", {}, EVERYBODY),
    ("post", "/libraries/new/", upload, (302, 403, 302, 302, 302, 302)),
    ("post", "/libraries/start/", {"token": "u-none", "name": "x"}, (302, 403, 404, 404, 404, 404)),
    ("get", f"/libraries/jobs/{CHECK}/", {}, OWNER_SEES),
    ("post", f"/libraries/jobs/{CHECK}/stop/", {}, (302, 404, 404, 302, 302, 302)),
    ("post", f"/libraries/jobs/{CHECK}/again/", {}, (302, 404, 404, 302, 302, 302)),
    ("get", "/libraries/refused/u-none/", {}, (302, 404, 404, 404, 404, 404)),
    ("get", "/libraries/annas-amines/delete/", {}, (302, 404, 404, 200, 404, 404)),
    ("post", "/libraries/annas-amines/delete/", {}, (302, 404, 404, 302, 404, 404)),
    ("get", "/decoding/", {}, EVERYBODY),
    ("post", "/decoding/stream/", {"prompt": "an ester", "m1": "spectr"}, EVERYBODY),
    ("post", "/decoding/frontier/", {"prompt": "an ester", "m1": "cd", "reward": "qed"}, EVERYBODY),
    ("get", "/transport/", {}, EVERYBODY),
    ("get", "/transport/sweep/", {}, INCOMPLETE),
    ("get", "/transport/map/", {}, INCOMPLETE),
    ("get", "/transport/watch/", {}, EVERYBODY),
    ("get", "/transport/files/links.csv", {}, INCOMPLETE),
    ("get", "/jobs/", {}, TRAINERS),
    ("post", "/jobs/bulk/", {"action": "stop", "job": [RUNNING]}, TRAINERS_DO),
    ("get", "/jobs/new/", {}, TRAINERS),
    ("post", "/jobs/new/", {"kind": "monge", "data.source": "clouds.npz", "preset": "small"}, TRAINERS_DO),
    ("get", "/jobs/data/", {}, TRAINERS),
    ("post", "/jobs/data/", upload, TRAINERS_DO),
    ("get", "/jobs/data/delete/clouds.npz", {}, TRAINERS),
    ("post", "/jobs/data/delete/clouds.npz", {}, TRAINERS_DO),
    ("get", f"/jobs/{TRAINING}/", {}, TRAINERS),
    ("get", f"/jobs/{CHECK}/", {}, TRAINERS),
    ("get", f"/jobs/{TRAINING}/look/", {}, TRAINERS),
    ("get", f"/jobs/{TRAINING}/events/", {}, TRAINERS),
    ("get", f"/jobs/{TRAINING}/curves/", {}, TRAINERS),
    ("get", f"/jobs/{TRAINING}/curves.csv", {}, TRAINERS),
    ("get", f"/jobs/{TRAINING}/curves.svg?chart=none", {}, (302, 403, 403, 403, 404, 404)),
    ("post", f"/jobs/{RUNNING}/stop/", {}, TRAINERS_DO),
    ("post", f"/jobs/{TRAINING}/resume/", {}, TRAINERS_DO),
    ("get", f"/jobs/{TRAINING}/delete/", {}, TRAINERS),
    ("post", f"/jobs/{TRAINING}/delete/", {}, TRAINERS_DO),
    ("get", "/models/", {}, TRAINERS),
    ("get", "/models/compare/?v=7&v=8", {}, TRAINERS),
    ("get", "/models/compare.csv?v=7&v=8&chart=none", {}, (302, 403, 403, 403, 404, 404)),
    ("get", "/models/compare.svg?v=7&v=8&chart=none", {}, (302, 403, 403, 403, 404, 404)),
    ("get", "/models/7/", {}, TRAINERS),
    ("get", "/models/7/promote/", {}, ADMINISTRATORS),
    ("post", "/models/7/promote/", {"why": "x", "evaluation": 4}, ADMINISTRATORS_DO),
    ("get", "/models/7/delete/", {}, ADMINISTRATORS),
    ("post", "/models/7/delete/", {}, ADMINISTRATORS_DO),
    ("get", "/models/places/monge/roll-back/", {}, ADMINISTRATORS),
    ("post", "/models/places/monge/roll-back/", {"why": "x"}, ADMINISTRATORS_DO),
    ("get", "/models/places/monge/shipped/", {}, ADMINISTRATORS),
    ("post", "/models/places/monge/shipped/", {"why": "x"}, ADMINISTRATORS_DO),
    ("get", "/status/", {}, TRAINERS),
    ("post", "/status/notice/", {}, ADMINISTRATORS_DO),
    ("post", "/status/rebuild/", {}, ADMINISTRATORS_DO),
    ("get", "/accounts/log-in/", {}, (200, 302, 302, 302, 302, 302)),
    ("post", "/accounts/log-out/", {}, ALL_MOVED),
    ("get", "/accounts/tokens/", {}, ACCOUNTS),
    ("post", "/accounts/tokens/", {"name": "x"}, ACCOUNTS),
    ("post", "/accounts/tokens/5/revoke/", {}, (302, 404, 404, 302, 404, 404)),
    ("get", "/accounts/password/", {}, ACCOUNTS),
    ("get", "/api/schema/", {}, EVERYBODY),
    ("get", "/api/docs/", {}, EVERYBODY),
    ("get", "/api/v1/nothing/", {}, (404,) * 6),
    ("get", "/admin/", {}, STAFF),
    ("get", "/admin/login/", {}, (200, 200, 200, 200, 200, 302)),
    ("post", "/admin/logout/", {}, ALL_MOVED),
    ("get", "/admin/password_change/", {}, STAFF),
    ("get", "/admin/password_change/done/", {}, STAFF),
    ("get", "/admin/autocomplete/", {}, STAFF_GET_403),
    ("get", "/admin/jsi18n/", {}, STAFF),
    ("get", "/admin/r/1/1/", {}, (302, 302, 302, 302, 302, 404)),
    ("get", "/admin/workers/", {}, STAFF),
    ("get", "/admin/nothing/", {}, (302, 302, 302, 302, 302, 404)),
    ("get", "/admin/accounts/user/1/password/", {}, STAFF),
]

#: what an administrator by role (and not as superuser) gets in the admin: list, add, history, change, delete.
#: Nobody else gets anything there but the log-in.
IN_ADMIN: dict[str, tuple[int, int, int, int, int]] = {
    "auth_group": (200, 403, 200, 200, 403),
    "axes_accessattempt": (403, 403, 302, 403, 403),
    "axes_accesslog": (403, 403, 302, 403, 403),
    "axes_accessfailurelog": (403, 403, 302, 403, 403),
    "workers_job": (200, 200, 200, 200, 403),
    "workers_modelversion": (200, 403, 200, 200, 403),
    "workers_promotion": (200, 403, 200, 200, 403),
    "workers_auditentry": (200, 403, 200, 200, 403),
    "workers_evaluation": (200, 403, 200, 200, 403),
    "workers_worker": (200, 403, 200, 200, 403),
    "workers_library": (200, 403, 200, 200, 200),
    "accounts_user": (200, 200, 200, 200, 200),
    "accounts_apitoken": (200, 403, 200, 200, 200),
}
PARTS = ("", "add/", "{pk}/history/", "{pk}/change/", "{pk}/delete/")


def admin_rows() -> Iterator[tuple[str, str, Any, Statuses]]:
    """The rows of the admin, one for each model and page."""
    for model, statuses in IN_ADMIN.items():
        base = f"/admin/{model.replace('_', '/')}/"
        for part, status in zip(PARTS, statuses, strict=True):
            yield "get", base + part, {}, (302, 302, 302, 302, 302, status)
        yield "get", base + "{pk}/", {}, (302, 302, 302, 302, 302, 302)


ROWS = [*TABLE, *admin_rows()]


@pytest.fixture
def callers(db: None) -> list[Client]:
    out = [Client()]
    roles = {"viola": "viewer", "bob": "member", "anna": "member", "tina": "trainer", "ada": "admin"}
    for name, role in roles.items():
        user = User.objects.create_user(name, password=PASSWORD, is_staff=role == "admin")
        user.groups.add(Group.objects.get(name=role))
        browser = Client(raise_request_exception=False)
        browser.force_login(user)
        out.append(browser)
    return out


@pytest.fixture
def furniture(
    callers: list[Client],
    job: Callable[..., Job],
    version: Callable[..., ModelVersion],
    monkeypatch: pytest.MonkeyPatch,
) -> dict[str, Any]:
    """The rows that the table names; the key of a row of each model in the admin."""
    door = fakes.FakeDoor(inference)
    for verb in fakes.VERBS:
        monkeypatch.setattr(inference, verb, getattr(door, verb))
    decoding_fakes.install(monkeypatch)
    monkeypatch.setattr(libraries, "builtin", lambda: door.list_libraries(None))
    monkeypatch.setattr(uploads, "PATIENCE", 0.0)
    anna, tina = User.objects.get(username="anna"), User.objects.get(username="tina")
    job("failed", tina, pk=TRAINING)
    job("stopped", anna, kind="check", pk=CHECK, parameters={"upload": "u-none", "name": ""})
    job("running", pk=RUNNING, parameters={"data": {"source": "other.npz"}})
    for pk in (7, 8):
        ModelVersion.objects.filter(pk=version().pk).update(id=pk)
    Evaluation.objects.create(pk=4, version_id=7, metrics={"l2_uvp": 2.0}, data=[])
    promotion = registry.promote(registry.get(8), "ada", "To be rolled back.", unmeasured=True)
    Library.objects.create(id="annas-amines", name="Anna's amines", owner=anna, state="ready", size=3)
    ApiToken.objects.create(pk=5, user=anna, name="script", digest="d" * 64, hint="ferry_1234")
    now = Job.objects.get(pk=RUNNING).created
    worker = Worker.objects.create(name="lab:41", started=now, seen=now)
    return {
        "auth_group": Group.objects.get(name="viewer").pk,
        "workers_job": TRAINING,
        "workers_modelversion": 7,
        "workers_promotion": promotion.pk,
        "workers_auditentry": AuditEntry.objects.latest("pk").pk,
        "workers_evaluation": 4,
        "workers_worker": worker.pk,
        "workers_library": "annas-amines",
        "accounts_user": anna.pk,
        "accounts_apitoken": 5,
    }


@pytest.mark.parametrize("part", sorted({address.split("/")[1].split("?")[0] for _, address, *_ in ROWS}))
def test_table(callers: list[Client], furniture: dict[str, Any], house: Path, part: str) -> None:
    rows = [row for row in ROWS if row[1].split("/")[1].split("?")[0] == part]
    got = []
    for method, address, data, _ in rows:
        key = furniture.get("_".join(address.split("/")[2:4]), 1)
        there = address.replace("{pk}", str(key)).replace("user/1/", f"user/{furniture['accounts_user']}/")
        statuses = []
        for browser in callers:
            cookies = browser.cookies.copy()
            with undone(house):
                sent = data() if callable(data) else data
                statuses.append(getattr(browser, method)(there, sent).status_code)
            browser.cookies = cookies
        got.append((method, address, tuple(statuses)))
    assert got == [(method, address, expected) for method, address, _, expected in rows]


def routes(resolver: Any, before: str = "") -> Iterator[str]:
    """Every address that the site has, as a pattern."""
    for pattern in resolver.url_patterns:
        here = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern, here)
        else:
            yield here


def test_the_tables_name_every_address_of_the_site() -> None:
    asked = {f"/api/v1/{address}".split("?")[0] for _, _, address, *_ in api.TABLE}
    asked |= {address.split("?")[0].replace("{pk}", "1") for _, address, *_ in ROWS}
    assert {route.replace("^", "") for route in routes(get_resolver())} == {
        resolve(address).route for address in asked
    }


def test_the_table_names_every_model_of_the_admin() -> None:
    known = {f"{model._meta.app_label}_{model._meta.model_name}" for model in admin.site._registry}
    assert known == set(IN_ADMIN)


@pytest.mark.parametrize(
    ("model", "action", "pk", "changed"),
    [
        ("job", "stop", RUNNING, lambda: Job.objects.get(pk=RUNNING).state == "stopping"),
        ("job", "resume", TRAINING, lambda: Job.objects.get(pk=TRAINING).state == "queued"),
        ("job", "clone", TRAINING, lambda: Job.objects.filter(parent=TRAINING).exists()),
        ("job", "remove", TRAINING, lambda: not Job.objects.filter(pk=TRAINING).exists()),
        ("modelversion", "promote", 7, lambda: ModelVersion.objects.get(pk=7).active),
        ("modelversion", "roll_back", 8, lambda: not ModelVersion.objects.get(pk=8).active),
        ("modelversion", "retire", 8, lambda: not ModelVersion.objects.get(pk=8).active),
        ("modelversion", "remove", 7, lambda: not ModelVersion.objects.filter(pk=7).exists()),
    ],
)
def test_an_action_of_the_admin_is_an_administrators(
    callers: list[Client],
    furniture: dict[str, Any],
    house: Path,
    model: str,
    action: str,
    pk: Any,
    changed: Callable[[], bool],
) -> None:
    sent = {"action": action, "_selected_action": [pk], "why": "x"}
    for browser in callers:
        assert not changed()
        assert browser.post(f"/admin/workers/{model}/", sent).status_code == 302
    assert changed()


def test_a_form_without_its_token_changes_nothing(
    callers: list[Client], furniture: dict[str, Any], house: Path
) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(User.objects.get(username="ada"))
    for method, address, data, expected in TABLE:
        if method == "post" and expected != EVERYBODY:
            assert browser.post(address, data() if callable(data) else data).status_code == 403, address
    assert Job.objects.get(pk=RUNNING).state == "running"
