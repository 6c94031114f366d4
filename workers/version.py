"""Which Ferry this is."""

from __future__ import annotations

import importlib.metadata
import tomllib
from functools import cache

from django.conf import settings


@cache
def ferry() -> str:
    """The version: of the installed package, otherwise of the checkout's ``pyproject.toml``; *unknown* without both."""
    try:
        with (settings.BASE_DIR / "pyproject.toml").open("rb") as file:
            return str(tomllib.load(file)["project"]["version"])
    except (OSError, KeyError, tomllib.TOMLDecodeError):
        pass
    try:
        return importlib.metadata.version("ferry")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def of(package: str) -> str | None:
    """The version of an installed package, read from its metadata without importing it; None where it is not there."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
