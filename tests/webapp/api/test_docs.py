"""docs/api.md tells the truth: its programs run, its tables name what there is."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from webapp import environment
from webapp.api import problems, schema
from webapp.api.serializers.parameters import SearchParameters
from webapp.search.vocabulary import RANGES
from workers import uploads
from workers.models import Evaluation, ModelVersion

TEXT = (Path(__file__).parents[3] / "docs" / "api.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"```(bash|python)\n(.*?)```", TEXT, re.DOTALL)


def test_there_is_something_to_run() -> None:
    assert [language for language, _ in PROGRAMS].count("bash") >= 5
    assert [language for language, _ in PROGRAMS].count("python") == 2


@pytest.mark.parametrize(("language", "program"), PROGRAMS)
def test_its_programs_run(
    live_server: Any,
    door: Any,
    shelf: Any,
    account: Any,
    bells: list[str],
    version: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    language: str,
    program: str,
) -> None:
    from webapp.accounts.models import ApiToken

    _, secret = ApiToken.objects.issue(account("anna", "admin"), "test")
    ModelVersion.objects.filter(pk=version().pk).update(id=7)
    Evaluation.objects.create(pk=4, version_id=7, metrics={}, data=[])
    (tmp_path / "molecules.csv").write_text("SMILES,name\nCCO,ethanol\n")
    (tmp_path / "refused.csv").write_text("SMILES,name\nC1CC,broken\n")
    stored = uploads.Upload("u-5c0f", tmp_path / "source.csv", "molecules.csv")
    monkeypatch.setattr(uploads, "find", lambda token, user: stored)
    program = program.replace("http://localhost:8000", live_server.url).replace(
        "curl ", "curl -sS --fail-with-body "
    )
    command = ["bash", "-ec", program] if language == "bash" else [sys.executable, "-I", "-c", program]
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        env=environment | {"FERRY_TOKEN": secret},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert door.calls or shelf.uploads or shelf.imports or shelf.asked or done.stdout


def test_its_table_names_every_search_parameter() -> None:
    table = TEXT.split("## The other addresses")[0]
    named = set(re.findall(r"`(\w+)`", table))
    for name in SearchParameters().fields:
        stem = re.sub(r"_(min|max)$", "", name)
        assert (stem if stem in RANGES else name) in named, name


def test_its_tables_name_every_address_and_problem() -> None:
    from webapp.api.urls import v1

    for pattern in v1:
        address = re.sub(r"<\w+:(\w+)>", "<>", str(pattern.pattern))
        assert address in re.sub(r"<\w+>", "<>", TEXT), address
    for status, (slug, _) in problems.KINDS.items():
        assert f"| {status} | `{slug}` |" in TEXT


def test_its_rates_are_the_defaults() -> None:
    defaults = {variable.name: variable.default for variable in environment.VARIABLES}
    (said,) = re.findall(
        r"([\d,]+) requests a minute for an address without log-in and ([\d,]+) for an account, unless\s+changed; "
        r"([\d,]+) a minute",
        TEXT,
    )
    names = ("FERRY_RATE_ANONYMOUS", "FERRY_RATE_MEMBER", "FERRY_RATE_WRITE")
    assert [f"{number.replace(',', '')}/minute" for number in said] == [defaults[name] for name in names]


def test_its_problem_is_the_schemas_example() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)
    assert json.loads(example) == schema.EXAMPLE
    assert set(schema.EXAMPLE) == set(schema.PROBLEM["properties"])
