"""A backup and its way back: what comes out is what went in, on either database, and nothing half-made is ever left."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import uuid
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.contrib.auth.models import Group, Permission
from django.utils import timezone

from workers import archive, audit, backup, registry, restoring, serving, status
from workers.errors import BadInput, Busy
from workers.models import Evaluation, Event, Job, Library, ModelVersion, Point

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def full(house, settings, member, trainer, write_library) -> Path:
    """An installation with something of everything; its data folder."""
    data = settings.FERRY_DATA
    readers = Group.objects.create(name="readers of the third floor")
    readers.permissions.add(Permission.objects.get(codename="view_auditentry"))
    trainer.user_permissions.add(Permission.objects.get(codename="view_user"))
    trainer.groups.add(readers)
    trainer.tokens.model.objects.issue(trainer, "notebook")
    now = timezone.now()
    first = Job.objects.create(
        kind="monge", queue="training", owner=trainer, state="done", finished=now, name="Mönge ∂",
        parameters={"data": {"source": "a.npy"}, "overrides": {"x": [1, None, 0.1 + 0.2]}}, created=now,
    )  # fmt: skip
    Job.objects.filter(pk=first.pk).update(created=now - timedelta(days=3, microseconds=7))
    again = Job.objects.create(kind="monge", queue="training", owner=trainer, parent=first)
    Point.objects.bulk_create(
        [
            Point(job=first, attempt=1, step=n, seconds=n / 3, values={"loss": 1 / (n + 1)})
            for n in range(2500)
        ]
    )
    folder = data / "jobs" / str(first.pk) / "model"
    folder.mkdir(parents=True)
    (folder / "card.json").write_text(json.dumps({"sha256": "b" * 64}))
    (folder / "model.safetensors").write_bytes(os.urandom(300_000))
    version = registry.register("monge", "", folder, first)
    child = ModelVersion.objects.create(area="monge", version=2, folder="jobs/gone", hash="c", parent=version)
    measured = Evaluation.objects.create(version=version, job=again, metrics={"l2_uvp": 0.5}, data=[])
    registry.promote(version, trainer, "it is better", measured)
    write_library(data / "libraries" / "amines")
    (data / "libraries" / "amines" / "vectors.npy").write_bytes(os.urandom(100_000))
    Library.objects.create(
        id="amines", name="Amines", owner=member, state="ready", size=3, model_hash="a" * 64
    )
    Library.objects.create(id="half", name="Half", owner=member, state="importing")
    (data / "libraries" / "half.building").mkdir()
    (data / "datasets" / "deep").mkdir(parents=True)
    (data / "datasets" / "deep" / "table.tsv").write_text("id\tSMILES\n")
    (data / "secret_key").write_text("not to be told")
    audit.record(trainer, "start", "job/1", {"why": "a test"})
    Event.objects.create(stream="job/1", seq=1, data={})
    assert child.parent_id == version.pk
    return data


def content(file: Path) -> dict[str, object]:
    """Everything in a backup that has to be the same in the next one: rows as they are, files by hash."""
    with zipfile.ZipFile(file) as packed:
        manifest = json.loads(packed.read(archive.MANIFEST))
        for name, facts in manifest["files"].items():
            assert hashlib.sha256(packed.read(name)).hexdigest() == facts["sha256"], name
        rows = {}
        for label, facts in manifest["tables"].items():
            read = [json.loads(line) for line in packed.read(f"database/{label}.jsonl").splitlines()]
            assert len(read) == facts["rows"]
            if label == "auth.group_permissions":  # numbered anew; what counts is who may do what
                read = sorted(row[1:] for row in read)
            rows[label] = (facts["columns"], read)
        files = {name: facts for name, facts in manifest["files"].items() if name.startswith("files/")}
    return {"rows": rows, "files": files}


def run(*words: object, data: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Python in an installation of its own."""
    clean = {k: v for k, v in os.environ.items() if k != "DATABASE_URL"}
    return subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=ROOT,
        env={**clean, "FERRY_DATA": str(data), "DJANGO_SETTINGS_MODULE": "webapp.settings", **environ},
        capture_output=True,
        text=True,
        check=False,
    )


BOTH = """
import sys, django
django.setup()
from django.core.management import call_command
call_command("restore", *sys.argv[2:])
call_command("backup", sys.argv[1])
"""


MORE = """
import django
django.setup()
from workers.models import AuditEntry, Job
Job.objects.create(kind="monge")
AuditEntry.objects.create(who="numbers go on after the highest")
"""


def restored(file: Path, data: Path, *words: str, **environ: str) -> dict[str, object]:
    """The content of a backup of what a restore has made."""
    done = run("-c", BOTH, data / "again.zip", file, *words, data=data, **environ)
    assert done.returncode == 0, done.stderr[-3000:]
    return content(data / "again.zip")


def test_round_trip_into_an_empty_place(full, tmp_path):
    made = backup.write(tmp_path / "one.zip")
    before = content(tmp_path / "one.zip")
    assert len(before["rows"]["workers.point"][1]) == 2500
    assert "files/libraries/amines/vectors.npy" in before["files"]
    assert not any("secret" in name or "building" in name for name in before["files"])
    assert {words.split(":")[0] for words in made["skipped"]} >= {"library half", "libraries/half.building"}
    other = tmp_path / "other"
    assert restored(tmp_path / "one.zip", other) == before
    refused = run("manage.py", "restore", tmp_path / "one.zip", data=other)
    assert refused.returncode != 0
    assert "--force" in refused.stderr
    (other / "libraries" / "later").mkdir()
    assert restored(tmp_path / "one.zip", other, "--force") == before
    kept = next(other.glob("before-restore-*"))
    assert (kept / "libraries" / "later").is_dir(), "what was there is kept aside"
    assert (kept / "ferry.sqlite3").exists()
    assert not list(other.glob(".restore-*"))


@pytest.fixture
def postgres() -> Iterator[str]:
    """An empty PostgreSQL database; its address."""
    import psycopg

    server = os.environ["FERRY_TEST_DATABASE_URL"]
    name = f"ferry_backup_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(server, autocommit=True) as link:
        link.execute(f"CREATE DATABASE {name}")
    yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    with psycopg.connect(server, autocommit=True) as link:
        link.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.service("postgres")
def test_round_trip_over_postgresql_and_back(full, tmp_path, postgres):
    backup.write(tmp_path / "one.zip")
    before = content(tmp_path / "one.zip")
    assert restored(tmp_path / "one.zip", tmp_path / "pg", DATABASE_URL=postgres) == before
    forced = restored(tmp_path / "one.zip", tmp_path / "pg", "--force", DATABASE_URL=postgres)
    assert forced == before, "tables with triggers that forbid deleting are made anew"
    assert restored(tmp_path / "pg" / "again.zip", tmp_path / "back") == before
    code = (
        "from workers.models import *; Job.objects.create(kind='monge'); AuditEntry.objects.create(who='x')"
    )
    after = run("manage.py", "shell", "-c", code, data=tmp_path / "pg", DATABASE_URL=postgres)
    assert after.returncode == 0, after.stderr[-2000:]  # numbers go on after the highest


def test_the_secret_goes_along_only_when_asked(full, tmp_path):
    backup.write(tmp_path / "with.zip", secret_key=True)
    assert "files/secret_key" in content(tmp_path / "with.zip")["files"]
    assert (tmp_path / "with.zip").stat().st_mode & 0o077 == 0


def test_it_is_one_moment_even_while_a_library_is_replaced(full, tmp_path, write_library):
    """A folder that is swapped under the reader is read as it was, whole, never half old and half new."""
    place = full / "libraries" / "amines"
    names = [f"part-{n}" for n in range(20)]

    def build(mark: int) -> Path:
        folder = place.with_name(f"new-{mark}")
        write_library(folder)
        for name in names:
            (folder / name).write_text(str(mark))
        return folder

    build(0)
    shutil.rmtree(place)
    place.with_name("new-0").rename(place)
    ended = threading.Event()

    def replace() -> None:
        mark = 0
        while not ended.is_set():
            mark += 1
            fresh, old = build(mark), place.with_name(f"old-{mark}")
            place.rename(old)
            fresh.rename(place)
            shutil.rmtree(old)

    thread = threading.Thread(target=replace)
    thread.start()
    try:
        for _ in range(60):
            with backup.held(place) as files:
                marks = {file.read() for name, file in files if name.startswith("part-")}
                assert len(marks) <= 1
                assert len(files) in (0, 21)
    finally:
        ended.set()
        thread.join()


def test_a_backup_that_fails_leaves_nothing(full, tmp_path, monkeypatch):
    target = tmp_path / "out" / "one.zip"
    target.parent.mkdir()
    target.write_text("the one before")
    monkeypatch.setattr(backup._Writer, "_datasets", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        backup.write(target)
    assert [path.name for path in target.parent.iterdir()] == ["one.zip"]
    assert target.read_text() == "the one before"
    assert status.last_backup() is None


def test_the_status_knows_of_the_last(full, tmp_path):
    backup.write(tmp_path / "one.zip")
    found = status.last_backup()
    assert found["file"] == str(tmp_path / "one.zip")
    assert found["bytes"] == (tmp_path / "one.zip").stat().st_size
    assert 0 <= found["age"] < 60


@pytest.mark.parametrize("place", ["libraries/x.zip", ".", "nowhere/x.zip"])
def test_a_place_that_cannot_be_is_refused(full, place):
    with pytest.raises(BadInput):
        backup.write(full / place)


# What is refused, before anything has been changed


def rewritten(file: Path, out: Path, change) -> Path:
    """A copy of a backup whose manifest, and members by name, ``change`` has had its hands on."""
    with zipfile.ZipFile(file) as packed:
        members = {name: packed.read(name) for name in packed.namelist()}
    manifest = json.loads(members.pop(archive.MANIFEST))
    change(manifest, members)
    with zipfile.ZipFile(out, "w") as packed:
        for name, body in members.items():
            packed.writestr(name, body)
        packed.writestr(archive.MANIFEST, json.dumps(manifest))
    return out


def flip(manifest, members) -> None:
    name = "files/libraries/amines/vectors.npy"
    members[name] = bytes([members[name][0] ^ 1]) + members[name][1:]


def lose(manifest, members) -> None:
    del members["files/libraries/amines/vectors.npy"]


def lead_out(manifest, members) -> None:
    name = "files/libraries/../../escaped"
    members[name] = b"x"
    manifest["files"][name] = {"sha256": hashlib.sha256(b"x").hexdigest(), "bytes": 1}


def settle_elsewhere(manifest, members) -> None:
    name = "files/static/evil.js"
    members[name] = b"x"
    manifest["files"][name] = {"sha256": hashlib.sha256(b"x").hexdigest(), "bytes": 1}


def swell(manifest, members) -> None:
    members["files/datasets/deep/table.tsv"] = b"0" * 5_000_000


def grow_older(manifest, members) -> None:
    manifest["migrations"]["workers"].append("0999_from_the_future")


def outrun(manifest, members) -> None:
    manifest["ferry"] = "999.1"


def be_another(manifest, members) -> None:
    manifest["format"] = 2


FAULTS = {
    flip: "damaged", lose: "damaged", lead_out: "damaged", settle_elsewhere: "damaged", swell: "damaged",
    grow_older: "0999_from_the_future", outrun: "999.1", be_another: "format 2",
}  # fmt: skip


@pytest.fixture
def written(full, tmp_path) -> Path:
    backup.write(tmp_path / "one.zip")
    return tmp_path / "one.zip"


@pytest.mark.parametrize("change", FAULTS, ids=lambda change: change.__name__)
def test_what_cannot_be_trusted_is_refused_and_changes_nothing(written, full, tmp_path, change):
    file = rewritten(written, tmp_path / "bad.zip", change)
    there = sorted(str(path) for path in tmp_path.rglob("*") if path.name != serving.LOCK)
    with pytest.raises(BadInput, match=FAULTS[change]):
        restoring.restore(file, force=True)
    assert sorted(str(path) for path in tmp_path.rglob("*") if path.name != serving.LOCK) == there
    assert Job.objects.count() == 2


def test_what_is_no_backup_is_refused(full, tmp_path):
    (tmp_path / "text.zip").write_text("hello")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as packed:
        packed.writestr("a", "b")
    (tmp_path / "cut.zip").write_bytes(b"PK\x03\x04" + b"0" * 100)
    for name in ("text.zip", "other.zip", "cut.zip", "missing.zip"):
        with pytest.raises(BadInput):
            restoring.restore(tmp_path / name, force=True)


def test_nobody_restores_under_a_running_server(written):
    with serving.together(), serving.together(), pytest.raises(Busy, match="running"):
        restoring.restore(written, force=True)
    with serving.alone(), pytest.raises(Busy, match="restored"), serving.together():
        pass


def test_a_restore_that_fails_at_the_last_step_puts_everything_back(written, full, monkeypatch):
    before = {path.relative_to(full): path.stat().st_size for path in full.rglob("*") if path.is_file()}
    with pytest.raises(OSError, match="no"), restoring._swapped(full / "nothing", full / "kept"):
        raise OSError("no")
    after = {path.relative_to(full): path.stat().st_size for path in full.rglob("*") if path.is_file()}
    assert after == before


def test_a_backup_of_an_earlier_version_is_brought_to_this_one(written, tmp_path):
    """As the first migration left the tables: no curves, no audit trail, jobs without names."""
    from django.db.migrations.loader import MigrationLoader

    loader = MigrationLoader(None)

    def grow_younger(manifest, members) -> None:
        manifest["ferry"] = "0.0.1"
        manifest["migrations"]["workers"] = ["0001_initial"]
        then = [(app, name) for app, names in manifest["migrations"].items() for name in names]
        earlier = loader.project_state(then).apps
        known = {model._meta.label_lower: model for model in earlier.get_models(include_auto_created=True)}
        for label, facts in list(manifest["tables"].items()):
            name = f"database/{label}.jsonl"
            if label not in known:
                del manifest["tables"][label], manifest["files"][name], members[name]
                manifest["order"].remove(label)
                continue
            columns = [field.attname for field in archive.fields(known[label])]
            places = [facts["columns"].index(column) for column in columns]
            rows = [json.loads(line) for line in members[name].splitlines()]
            members[name] = b"".join(archive.line([row[place] for place in places]) for row in rows)
            facts["columns"] = columns
            digest = hashlib.sha256(members[name]).hexdigest()
            manifest["files"][name] = {"sha256": digest, "bytes": len(members[name])}

    before = content(written)
    after = restored(rewritten(written, tmp_path / "old.zip", grow_younger), tmp_path / "other")
    assert after["files"] == before["files"]
    assert after["rows"]["workers.point"][1] == []
    columns, rows = after["rows"]["workers.job"]
    found = [dict(zip(columns, row, strict=True)) for row in rows]
    kept = [
        dict(zip(before["rows"]["workers.job"][0], row, strict=True))
        for row in before["rows"]["workers.job"][1]
    ]
    assert {row["name"] for row in found} == {""}
    for name in ("id", "kind", "state", "parameters", "created", "owner_id"):
        assert [row[name] for row in found] == [row[name] for row in kept]


def test_tables_come_after_what_they_refer_to():
    order = [model._meta.label_lower for model in archive.tables()]
    for first, second in (("accounts.user", "workers.job"), ("workers.job", "workers.point"),
                          ("workers.modelversion", "workers.evaluation")):  # fmt: skip
        assert order.index(first) < order.index(second)
    assert len(order) == len(set(order))


def test_every_table_is_either_kept_or_left_out_on_purpose():
    from django.apps import apps

    kept = {model._meta.label_lower for model in archive.tables()}
    all_of_them = {model._meta.label_lower for model in apps.get_models(include_auto_created=True)}
    left = {name for name in all_of_them - kept if name.split(".")[0] not in archive.APPS_LEFT_OUT}
    assert left == archive.LEFT_OUT
