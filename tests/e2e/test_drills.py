"""The drills of ``benchmarks``, short: whole houses of real processes, ill-treated."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import SHIPPED

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(not SHIPPED, reason="no model ships with this tree")


def run(tmp_path: Path, drill: str, *options: str) -> dict:
    """Run a drill to its end; its figures. Fails with what it said."""
    out = tmp_path / "drill.json"
    ended = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{drill}", *options, "--out", str(out)],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "webapp.settings"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ended.returncode == 0, f"{ended.stdout[-2000:]}\n{ended.stderr[-2000:]}"
    return json.loads(out.read_text())


@pytest.mark.parametrize(
    "house", ["embedded", pytest.param("scaled", marks=pytest.mark.service("redis", "postgres"))]
)
def test_killed_processes_lose_no_job_and_do_none_twice(house, tmp_path):
    size = ("--steps", "800", "--molecules", "300", "--kills", "2")
    table = run(tmp_path, "kill", "--houses", house, *size)[house]
    assert sum(table["kills"].values()) == 2
    assert (table["lost"], table["doubled"], table["different"]) == (0, 0, 0)


def test_no_request_fails_while_a_model_is_promoted_and_rolled_back(tmp_path):
    table = run(tmp_path, "promote", "--changes", "2", "--clients", "2", "--requests", "50")
    assert table["requests"] >= 50
    assert table["failed"] == 0
