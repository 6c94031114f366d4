"""The records on PostgreSQL: the same tests once more, in a process whose database is the server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TESTS = (
    *(
        f"tests/workers/test_{name}.py"
        for name in ("jobs", "events", "work", "libraries", "registry", "engine")
    ),
    "tests/webapp/test_accounts.py",
)


@pytest.mark.service("postgres")
def test_the_same_holds_on_postgresql():
    url = os.environ["FERRY_TEST_DATABASE_URL"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-x", *TESTS],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert "database: postgresql" in done.stdout
    assert " passed" in done.stdout
