"""Ferry as it is served, with the network denied: it answers, asks nobody, and its workers come back."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
UNSHARE = ("unshare", "--net", "--map-root-user")


def allowed() -> bool:
    """Whether this machine lets a process have a network of its own."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode == 0


pytestmark = [
    pytest.mark.skipif(not allowed(), reason="this machine allows no network namespaces (unshare --net)"),
    pytest.mark.skipif(
        not (ROOT / "models" / "retrieval" / "card.json").exists(), reason="there is no model to serve"
    ),
]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the driver saw from inside."""
    data = tmp_path_factory.mktemp("offline")
    clean = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "REDIS_URL")}
    clean |= {"FERRY_DATA": str(data), "FERRY_SWEEP": "1", "DJANGO_SETTINGS_MODULE": "webapp.settings"}
    clean.pop("FERRY_URL", None)
    done = subprocess.run(
        [*UNSHARE, sys.executable, str(Path(__file__).with_name("offline_driver.py")), str(data)],
        cwd=ROOT,
        env=clean,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:] + (data / "serve.log").read_text()[-3000:]
    return json.loads(done.stdout)


def test_the_network_is_really_denied(told):
    assert told["denied"], "the proof proves nothing if something outside could be reached"


def test_a_search_is_answered_without_it(told):
    assert told["ready"] is True
    assert len(told["hits"]) == 3


def test_nothing_tried_to_reach_anybody(told):
    assert not re.search(r"Network is unreachable|Name or service|Temporary failure|MaxRetry", told["log"])


def test_a_worker_that_is_killed_is_started_again_and_the_others_go_on(told):
    assert told["workers"] == [["indexing", "training"]] * 2
    assert told["other_lives_on"]


def test_what_it_held_is_taken_up_at_once_by_the_next(told):
    """Not after the lease, which had an hour to go."""
    attempts, state, error = told["job"]
    assert (attempts, state) == (2, "failed")
    assert "no data set" in error


def test_nothing_is_restored_under_it(told):
    assert told["restore_refused"]


def test_it_tells_what_is_set_and_ends_when_asked(told):
    assert "set        FERRY_SWEEP=1 (from the environment)" in told["log"]
    assert told["ended"] == 0
