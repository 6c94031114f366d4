"""Migrations: one process at a time, a copy before, and the failing step in words."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from workers import migrating
from workers.errors import Busy

ROOT = Path(__file__).resolve().parents[2]

#: a migration of this test alone that fails
BROKEN = """
import sys, django
from django.db import migrations
django.setup()
from django.db.migrations.loader import MigrationLoader
from django.core.management import call_command
if sys.argv[1] == "broken":
    plain = MigrationLoader.load_disk
    def fail(apps, editor):
        raise RuntimeError("the column is not there")
    class Broken(migrations.Migration):
        dependencies = [("workers", "0001_initial")]
        operations = [migrations.RunPython(fail)]
    def load(self):
        plain(self)
        last = max(name for app, name in self.disk_migrations if app == "workers")
        Broken.dependencies = [("workers", last)]
        self.disk_migrations["workers", "0999_broken"] = Broken("0999_broken", "workers")
    MigrationLoader.load_disk = load
from workers import migrating
from workers.errors import Busy
try:
    print("applied", len(migrating.migrate()))
except Busy as fault:
    print("told:", fault)
"""


def run(data: Path, how: str = "plain", **environ: str) -> subprocess.Popen[str]:
    """Migrate in a process and an installation of its own."""
    clean = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "REDIS_URL")}
    clean |= {"FERRY_DATA": str(data), "DJANGO_SETTINGS_MODULE": "webapp.settings", **environ}
    return subprocess.Popen(
        [sys.executable, "-c", BROKEN, how],
        cwd=ROOT, env=clean, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def test_two_that_start_at_once_migrate_once(tmp_path):
    both = [run(tmp_path), run(tmp_path)]
    said = sorted(process.communicate(timeout=120)[0].strip() for process in both)
    assert said[0] == "applied 0", said
    assert int(said[1].split()[1]) > 20, said
    assert not list(tmp_path.glob("ferry-before-*")), "an empty database needs no copy"
    log = (tmp_path / migrating.LOG).read_text()
    assert log.count("Applying workers.0001_initial... OK") == 1
    said = run(tmp_path, "broken").communicate(timeout=120)[0]
    copy = next(tmp_path.glob("ferry-before-*.sqlite3"))
    for words in (
        "workers.0999_broken failed",
        "the column is not there",
        f"cp {copy} {tmp_path}",
        "mode=ro",
    ):
        assert words in said
    assert "failed: RuntimeError" in (tmp_path / migrating.LOG).read_text()


@pytest.mark.django_db(transaction=True)
def test_who_waits_too_long_is_told(house, monkeypatch):
    monkeypatch.setattr(migrating, "PATIENCE", 0.3)
    with migrating.locked(), pytest.raises(Busy, match="Another process"), migrating.locked():
        pass
