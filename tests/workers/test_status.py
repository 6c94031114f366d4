"""The report on how the installation stands: true in every part, and silent about secrets."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from workers import broker, disk, status
from workers.models import Job, Library, ModelVersion, Worker

pytestmark = pytest.mark.django_db(transaction=True)
MODEL = "a" * 64  # of the house


@pytest.fixture(autouse=True)
def installation(house):
    """An empty data folder and a model that ships."""
    return house


def test_it_is_json_whole_and_fine_in_a_house_in_order():
    found = json.loads(json.dumps(status.report()))
    assert set(found) == {
        "versions", "database", "broker", "queues", "workers", "models", "libraries", "disk", "last_backup",
        "notices", "settings", "time",
    }  # fmt: skip
    assert found["versions"]["Django"].startswith("5.")
    assert found["versions"]["Ferry"] != "unknown"
    assert found["database"]["pending"] == []
    assert found["database"]["bytes"] > 10_000
    assert found["broker"]["reachable"]
    assert [row["hash"] for row in found["models"]] == [MODEL]
    assert status.troubles(found) == []


def test_a_shipped_model_is_known_by_area_and_slot(settings):
    folder = settings.FERRY_MODELS / "speech-mboshi-fr"
    folder.mkdir()
    (folder / "card.json").write_text(json.dumps({"sha256": "d" * 64}))
    assert [(row["area"], row["slot"], row["version"]) for row in status.models()] == [
        ("retrieval", "", 0),
        ("speech", "mboshi-fr", 0),
    ]


def test_a_trainer_is_told_no_settings_and_no_places(house):
    found = status.report(private=False)
    assert "settings" not in found
    assert str(house) not in json.dumps(found)


def test_queues_count_what_waits_and_runs():
    first = Job.objects.create(kind="monge", queue="training")
    Job.objects.filter(pk=first.pk).update(created=timezone.now() - timedelta(hours=2))
    Job.objects.create(kind="monge", queue="training")
    Job.objects.create(kind="monge", queue="training", state="running", lease_until=timezone.now())
    Job.objects.create(kind="monge", queue="training", state="done", finished=timezone.now())
    rows = {row["queue"]: row for row in status.queues()}
    assert (rows["training"]["waiting"], rows["training"]["running"]) == (2, 1)
    assert rows["training"]["oldest_waiting"] == pytest.approx(7200, abs=5)
    idle = {"queue": "indexing", "waiting": 0, "running": 0, "oldest_waiting": None, "workers": 0}
    assert rows["indexing"] == {**idle, "needed": True}
    assert "training" in status.troubles(status.report())[0]


def test_an_inference_worker_is_missed_only_where_one_has_to_answer(settings):
    assert status.troubles(status.report()) == []
    settings.FERRY_INFERENCE = "queue"
    assert "inference worker" in status.troubles(status.report())[0]


def test_workers_are_alive_or_silent(settings):
    now = timezone.now()
    for name, age in (("a:1", 0), ("b:2", 10 * settings.FERRY_SWEEP)):
        Worker.objects.create(name=name, queues=["training"], started=now, seen=now - timedelta(seconds=age))
    assert [row["alive"] for row in status.workers()] == [True, False]
    assert {row["queue"]: row["workers"] for row in status.queues()}["training"] == 1


def test_libraries_in_words():
    assert status.libraries()["message"] == "Every library fits the model in use."
    for name, digest in (("one", MODEL), ("two", "b" * 64), ("three", "c" * 64)):
        Library.objects.create(id=name, name=name, state="ready", model_hash=digest)
    Library.objects.create(id="four", name="four", state="importing")
    found = status.libraries()
    assert (found["ready"], found["stale"], found["importing"]) == (1, 2, 1)
    assert found["message"] == "2 libraries were built by an earlier model: rebuild them."
    assert found["stale_ids"] == ["three", "two"]


def test_a_model_in_use_whose_files_are_gone_is_told():
    ModelVersion.objects.create(area="monge", version=1, folder="jobs/x/model", hash="b", active=True)
    found = status.report()
    assert [row["present"] for row in found["models"]] == [False, True]
    assert "monge" in status.troubles(found)[0]


def test_disk_by_kind_adds_up(settings):
    data = settings.FERRY_DATA
    for name, size in (("libraries/a/x", 1000), ("jobs/b/model/y", 200), ("uploads/z", 30), ("static/s", 4)):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_bytes(b"x" * size)
    found = disk.measure()
    sizes = {kind["kind"]: kind["bytes"] for kind in found["kinds"]}
    assert (sizes["libraries"], sizes["jobs"], sizes["uploads"], sizes["other"]) == (1000, 200, 30, 4)
    assert 0 < found["free"] <= found["total"]
    assert disk.size(data / "nothing") == 0


def test_a_broker_folder_that_cannot_be_written(settings, monkeypatch):
    (settings.FERRY_DATA / "broker" / "messages").mkdir(parents=True)
    (settings.FERRY_DATA / "broker" / "messages" / "1.indexing.msg").touch()
    assert broker.state()["waiting"] == 1
    monkeypatch.setattr(broker.os, "access", lambda *_: False)
    assert not broker.state()["reachable"]


def test_a_redis_that_is_away(settings):
    settings.REDIS_URL = "redis://:hunter2@127.0.0.1:1/0"
    found = status.report()
    assert not found["broker"]["reachable"]
    assert any("Redis" in words for words in status.troubles(found))
    assert "hunter2" not in json.dumps(found)


@pytest.mark.service("redis")
def test_a_redis_that_answers(settings):
    import os

    settings.REDIS_URL = os.environ["FERRY_TEST_REDIS_URL"]
    assert broker.state()["reachable"]
