"""What a model's ``card.json`` says of how the model came about: the revision of the code, the data, the training.

Entries are written by the commands that know them, each under a key of its own; the rest of the card stays as it is.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlcore.runtime.errors import ModelError
from mlcore.runtime.weights import write_card

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

#: the folder that holds ``mlcore``: the checkout, where there is one
_HOME = Path(__file__).resolve().parents[2]
_PACKAGE = "ferry"
_SECONDS = 20.0


def revision(home: Path = _HOME) -> str:
    """The commit of the checkout ``home`` (40 hexadecimal digits), with ``-dirty`` where tracked files differ from it.

    Outside a checkout, the version of the installed package; ``"unknown"`` where there is neither.
    """
    top = _git(home, "rev-parse", "--show-toplevel")
    if (
        top and Path(top).resolve() == home.resolve()
    ):  # a package installed inside another project's checkout is not it
        commit = _git(home, "rev-parse", "HEAD")
        if commit:
            changed = _git(home, "status", "--porcelain", "--untracked-files=no")
            return f"{commit}-dirty" if changed else commit
    try:
        return f"{_PACKAGE} {importlib.metadata.version(_PACKAGE)}"
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _git(home: Path, *words: str) -> str:
    """The output of a git command; empty where git is missing, fails or is too slow."""
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", "-C", str(home), *words],  # noqa: S607 - found on the path, as the user's own git is
            capture_output=True, text=True, check=True, timeout=_SECONDS,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def short(path: str | Path) -> str:
    """A file as a card names it: from the checkout on where it lies in it, else its folder's name and its own
    (``chebi-20/train.tsv.gz``).
    """
    whole = Path(path).resolve()
    if whole.is_relative_to(_HOME):
        return whole.relative_to(_HOME).as_posix()
    return "/".join(whole.parts[1:][-2:])


def data_file(path: str | Path, use: str = "") -> dict[str, str]:
    """The name and sha256 of a data file, and what it was used for. Raises :class:`OSError` if it cannot be read."""
    with Path(path).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"file": short(path), "sha256": digest} | ({"use": use} if use else {})


def training(
    config: DataclassInstance,
    data: Sequence[str | Path],
    *,
    seed: int,
    seconds: float,
    presets: Mapping[str, Any] | None = None,
    resumed: bool = False,
) -> dict[str, Any]:
    """The facts of one training run, for the key ``training`` of a card.

    ``preset`` is the name of the one of ``presets`` that equals ``config``, or None. ``seconds`` is the wall time of
    the run, of its last part only where it was ``resumed``.
    """
    preset = next((name for name, known in (presets or {}).items() if known == config), None)
    return {
        "preset": preset,
        "config": asdict(config),
        "seed": seed,
        "data": [data_file(path) for path in data],
        "seconds": round(seconds),
        "resumed": resumed,
        "code_revision": revision(),
    }


def measured(command: str, data: Mapping[str, str | Path], **facts: Any) -> dict[str, Any]:
    """``facts`` that ``command`` found, with the name and sha256 of each of its ``data`` (use -> file)."""
    files = [data_file(path, use) for use, path in data.items()]
    return {"command": command, "data": files, "code_revision": revision(), **facts}


def read(folder: Path) -> dict[str, Any]:
    """The card of a model folder; :class:`ModelError` where there is none that can be read."""
    try:
        found = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as fault:
        raise ModelError(f"The card of {folder} cannot be read: {fault}.") from fault
    if not isinstance(found, dict):
        raise ModelError(
            f"The card of {folder} is no JSON object. Copy the folder again from where it was made."
        )
    return found


def record(folder: Path, **entries: Any) -> None:
    """Put ``entries`` into the card of a model folder, in one step; its other keys stay as they are.

    Raises :class:`ModelError` where the card cannot be read, ``ValueError`` for the hash of the weights.
    """
    if "sha256" in entries:
        raise ValueError("the hash in a card is written with the weights")
    write_card(folder, read(folder) | entries)
