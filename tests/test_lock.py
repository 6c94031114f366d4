"""The lock: exact versions only, and everything that pyproject asks for is in it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent


def pinned(name: str) -> dict[str, str]:
    """Name and version of each line of a lock."""
    lines = (ROOT / name).read_text(encoding="utf-8").split()
    return {canonicalize_name(line.split("==")[0]): line.split("==")[1] for line in lines}


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-extras.lock"])
def test_every_line_is_a_name_and_a_version(name):
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line), line


def test_what_pyproject_asks_for_is_locked():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    base, all_of_it = (
        pinned("requirements.lock"),
        {**pinned("requirements-extras.lock"), **pinned("requirements.lock")},
    )
    for wanted, lock in (
        (project["dependencies"] + extras["dev"], base),
        (extras["train"] + extras["bench"], all_of_it),
    ):
        for requirement in map(Requirement, wanted):
            version = lock.get(canonicalize_name(requirement.name))
            assert version is not None, f"{requirement.name} is not locked"
            assert requirement.specifier.contains(version), f"{requirement} but {version} is locked"
