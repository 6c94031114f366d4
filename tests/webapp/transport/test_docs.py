"""docs/transport.md tells the truth: its commands run, its tables name what there is."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mlcore.__main__ import main
from mlcore.transport.laboratory.solvers import SOLVERS

TEXT = (Path(__file__).parents[3] / "docs" / "transport.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^python -m mlcore (.*)$", TEXT, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_its_commands_run(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(command.split()) == 0
    assert capsys.readouterr().out


def test_its_request_is_answered(client, db):
    body, learnt = re.findall(r"--json '(\{.*?\})'\n", TEXT, re.DOTALL)
    answer = client.post("/api/v1/transport/plan/", json.loads(body), content_type="application/json")
    assert answer.status_code == 200
    assert answer.json()["difference"]["excess_over_exact"][1] == 0
    brief = {**json.loads(learnt), "parameters": {**json.loads(learnt)["parameters"], "seconds": 1}}
    answer = client.post("/api/v1/transport/map/", brief, content_type="application/json")
    assert answer.status_code == 200
    assert answer.json()["problem"]["target"]["n"] == 1000


def test_its_table_names_every_solver():
    table = TEXT.split("## Solvers")[1].split("## The answer")[0]
    assert re.findall(r"^\| `(\w+)`", table, re.MULTILINE) == list(SOLVERS)
