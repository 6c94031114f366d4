"""The status page and its JSON: who sees how much, what the words are, and what the buttons do."""

from __future__ import annotations

import json

import pytest
from django.core import mail
from django.utils import timezone

from webapp.status import words
from workers import jobs, status
from workers.models import AuditEntry, Job, Library, Worker

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def house(tmp_path, settings, monkeypatch):
    """An empty data folder, and a model that ships."""
    settings.FERRY_DATA, settings.FERRY_MODELS = tmp_path / "data", tmp_path / "models"
    settings.FERRY_DATA.mkdir()
    (settings.FERRY_MODELS / "retrieval").mkdir(parents=True)
    (settings.FERRY_MODELS / "retrieval" / "card.json").write_text(json.dumps({"sha256": "a" * 64}))
    monkeypatch.setattr(jobs, "ring", lambda job: None)


@pytest.mark.parametrize(
    ("who", "statuses"),
    [
        (None, (302, 302, 302, 401)),
        ("viewer", (403, 403, 403, 403)),
        ("member", (403, 403, 403, 403)),
        ("trainer", (200, 403, 403, 403)),
        ("administrator", (200, 302, 302, 200)),
    ],
)
def test_who_sees_and_who_may_act(client, request, who, statuses):
    if who is not None:
        client.force_login(request.getfixturevalue(who))
    got = (
        client.get("/status/"),
        client.post("/status/notice/"),
        client.post("/status/rebuild/"),
        client.get("/api/v1/status/"),
    )
    assert tuple(answer.status_code for answer in got) == statuses
    assert client.get("/status/rebuild/").status_code == 405, "what changes something is a POST"


def test_an_administrator_by_role_alone_sees_it(client, django_user_model):
    from django.contrib.auth.models import Group

    user = django_user_model.objects.create_user("rita")
    user.groups.add(Group.objects.get(name="admin"))
    client.force_login(user)
    assert client.get("/api/v1/status/").status_code == 200


def test_the_page_says_what_the_report_says(client, administrator, settings):
    now = timezone.now()
    Worker.objects.create(name="host:77", queues=["indexing"], facts={"device": "cpu"}, started=now, seen=now)
    Job.objects.create(kind="monge", queue="training")
    for name in ("one", "two"):
        Library.objects.create(id=name, name=name, state="ready", model_hash="b" * 64)
    (settings.FERRY_DATA / status.LAST_BACKUP).write_text(
        json.dumps({"file": "/srv/b.zip", "bytes": 3_400_000, "created": now.isoformat(), "seconds": 1})
    )
    client.force_login(administrator)
    page = client.get("/status/").content.decode()
    for told in (
        "2 libraries were built by an earlier model: rebuild them.",
        "Rebuild all 2",
        "host:77",
        "no worker listens to it",
        "3.4 MB",
        "/srv/b.zip",
        "a" * 12,
        "Every migration is applied.",
        "FERRY_DATA",
        "Nobody is told when a job ends.",
    ):
        assert told in page, told
    assert "<script>" not in page
    assert settings.SECRET_KEY not in page
    assert client.get("/status/").headers["Cache-Control"].startswith("max-age=0")


def test_a_trainer_reads_it_without_settings_paths_and_buttons(client, trainer, settings):
    Library.objects.create(id="one", name="one", state="ready", model_hash="b" * 64)
    client.force_login(trainer)
    page = client.get("/status/").content.decode()
    assert "1 library was built by an earlier model: rebuild it." in page
    main = page.split("<main")[1].split("</main>")[0]
    assert "<form" not in main
    assert str(settings.FERRY_DATA) not in page
    assert "FERRY_LEASE" not in page


def test_the_button_rebuilds_under_the_administrators_name(client, administrator):
    Library.objects.create(id="one", name="one", state="ready", model_hash="b" * 64)
    client.force_login(administrator)
    assert "1 rebuilds have begun" in client.post("/status/rebuild/", follow=True).content.decode()
    assert Job.objects.get().parameters == {"library": "one"}
    assert AuditEntry.objects.get(verb="rebuild").who == "ada"
    assert "nothing to rebuild" in client.post("/status/rebuild/", follow=True).content.decode()


def test_the_button_sends_a_test_notice_and_tells_of_each(client, administrator, settings):
    client.force_login(administrator)
    assert "No notices are configured" in client.post("/status/notice/", follow=True).content.decode()
    settings.FERRY_NOTIFY, settings.FERRY_WEBHOOK = ["lab@example.org"], "http://127.0.0.1:1/"
    assert "Send a test notice" in client.get("/status/").content.decode()
    page = client.post("/status/notice/", follow=True).content.decode()
    assert "mail: It was taken." in page
    assert "webhook: The receiver cannot be reached" in page
    assert "ada" in mail.outbox[0].body


def test_the_json_is_the_report_with_its_troubles(client, administrator):
    client.force_login(administrator)
    found = client.get("/api/v1/status/").json()
    assert set(found) == {*status.report(), "troubles"}
    assert found["models"][0]["hash"] == "a" * 64
    assert client.get("/api/v1/status/?verbose=1").status_code == 400


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (999_400, "999 kB"),
        (999_600, "1.0 MB"),
        (3.4e12, "3.4 TB"),
    ],
)
def test_sizes(count, text):
    assert words.size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (-1, "0 s"), (61, "61 s"), (600, "10 min"), (7300, "2 h"), (200_000, "2 days")],
)
def test_ages(seconds, text):
    assert words.ago(seconds) == text
