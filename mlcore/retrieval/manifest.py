"""The manifest of a library folder: what it holds, who built it from what, and the size and hash of every
file.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from mlcore.runtime.errors import LibraryError

#: raised by one whenever the files of a library change their meaning
SCHEMA_VERSION = 2
NAME = "manifest.json"
_REBUILD = "Rebuild it: python -m mlcore index --model DIR --molecules FILE --out "


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of ``folder``; :class:`LibraryError` when it is missing or cannot be used."""
    path = folder / NAME
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as fault:
        raise LibraryError(
            f"There is no library in {folder}: {NAME} is missing. Build one: python -m mlcore index "
            f"--model DIR --molecules FILE --out {folder}"
        ) from fault
    except (OSError, ValueError) as fault:
        raise LibraryError(f"The manifest {path} cannot be read: {fault}. {_REBUILD}{folder}") from fault
    version = manifest.get("schema_version") if isinstance(manifest, dict) else None
    if version != SCHEMA_VERSION:
        raise LibraryError(
            f"The library in {folder} has format {version}, this program reads format {SCHEMA_VERSION}. "
            f"{_REBUILD}{folder}"
        )
    missing = [
        key
        for key in ("id", "name", "rows", "model", "fingerprint", "source", "files")
        if key not in manifest
    ]
    if missing:
        raise LibraryError(f"The manifest {path} lacks '{missing[0]}'. {_REBUILD}{folder}")
    return manifest


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest of ``folder`` in one step: it is there whole or not at all."""
    draft = folder / f"{NAME}.draft"
    with draft.open("w", encoding="utf-8") as file:
        json.dump(manifest, file, indent=2, ensure_ascii=False, sort_keys=True)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / NAME)


def check_files(folder: Path, manifest: dict[str, Any], *, hashes: bool = False) -> None:
    """Compare the files of ``folder`` with its manifest: sizes, and with ``hashes`` every byte.

    Raises :class:`LibraryError` naming the first file that is missing or differs.
    """
    for name, expected in manifest["files"].items():
        path = folder / name
        try:
            size = path.stat().st_size
        except OSError as fault:
            raise LibraryError(
                f"The library in {folder} lacks its file {name}. {_REBUILD}{folder}"
            ) from fault
        if size != expected["bytes"]:
            raise LibraryError(
                f"The library in {folder} is damaged: {name} has {size} bytes, not {expected['bytes']}. "
                f"{_REBUILD}{folder}"
            )
        if hashes and sha256(path) != expected["sha256"]:
            raise LibraryError(f"The library in {folder} is damaged: {name} was changed. {_REBUILD}{folder}")


def describe_files(folder: Path) -> dict[str, dict[str, Any]]:
    """Size and sha256 of every file of ``folder`` except the manifest."""
    return {
        path.name: {"bytes": path.stat().st_size, "sha256": sha256(path)}
        for path in sorted(folder.iterdir())
        if path.is_file() and not path.name.startswith(NAME)
    }


def sha256(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
