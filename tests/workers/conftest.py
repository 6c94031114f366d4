"""A science small enough to see through, and an engine that uses it."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from workers import engine
from workers.errors import BadInput, Busy, NotFound

MODEL = "a" * 64


class FakeScience:
    """Counts what is loaded; answers say what they were asked."""

    WITHOUT_MODEL = frozenset({"depict"})

    def __init__(self) -> None:
        self.loads: list[Path] = []
        self.opened: list[str] = []
        self.rehearsed = 0
        self.hold: Any = None
        self.entered = threading.Semaphore(0)

    def load_model(self, folder: Path) -> Any:
        """A model whose hash is that of its card."""
        card = folder / "card.json"
        if not card.exists():
            raise Busy(f"There is no model in {folder}.")
        self.loads.append(folder)
        return SimpleNamespace(fingerprint=json.loads(card.read_text())["sha256"])

    def open_library(self, folder: Path, fingerprint: str) -> Any:
        """A library; Busy where another model built it."""
        manifest = json.loads((folder / "manifest.json").read_text())
        if manifest["model"] != fingerprint:
            raise Busy(f"{folder.name} was built by another model.")
        self.opened.append(folder.name)
        return SimpleNamespace(id=folder.name, name=manifest["name"], size=manifest["rows"], fingerprint="f")

    def built_by(self, folder: Path) -> str:
        """What the manifest says."""
        return json.loads((folder / "manifest.json").read_text())["model"]

    def make_searcher(self, model: Any, libraries: dict[str, Any], before: Any = None) -> Any:
        """Nothing but the libraries."""
        return SimpleNamespace(libraries=tuple(libraries))

    def rehearse(self, loaded: Any) -> None:
        """Counts."""
        self.rehearsed += 1

    def do_search(
        self, loaded: Any, *, text: str, libraries: tuple[str, ...], **options: Any
    ) -> dict[str, Any]:
        """Echo; waits for ``hold`` where a test has set it."""
        if self.hold is not None:
            self.entered.release()
            self.hold.wait(10)
        if text == "bad":
            raise BadInput("No.", "text", "Write something else.")
        return {"text": text, "libraries": libraries, **options}

    def do_molecule(self, loaded: Any, *, library: str, id: str) -> dict[str, Any]:
        """Echo."""
        if id == "missing":
            raise NotFound("no such molecule")
        return {"library": library, "id": id}

    def do_depict(self, **options: Any) -> bytes:
        """Bytes that are no text."""
        return b"\x89PNG\xff"


@pytest.fixture
def write_library():
    """Write the manifest of a library folder."""

    def write(folder: Path, *, name: str = "A library", model: str = MODEL, rows: int = 3) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        facts = {"id": folder.name, "name": name, "rows": rows, "model": model, "fingerprint": "f" * 64}
        (folder / "manifest.json").write_text(json.dumps(facts))
        return folder

    return write


@pytest.fixture
def house(tmp_path, settings, write_library):
    """Empty data folder and a model with its catalogue."""
    settings.FERRY_DATA = tmp_path / "data"
    settings.FERRY_MODELS = tmp_path / "models"
    settings.FERRY_DATA.mkdir()
    model = settings.FERRY_MODELS / "retrieval"
    model.mkdir(parents=True)
    (model / "card.json").write_text(json.dumps({"sha256": MODEL}))
    write_library(model / "catalogue", name="Catalogue")
    return tmp_path


@pytest.fixture
def science(house):
    """The fake science behind the door of this process."""
    tools = FakeScience()
    engine.use(engine.Engine(tools, searches=2, wait=0.3))
    yield tools
    engine.use(None)
