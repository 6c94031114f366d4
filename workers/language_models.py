"""The language models of this process: target, draft and aligned, shared by all its threads.

Loaded at the first question and again when another version is promoted or the files change. While one thread loads,
the others go on with what there is; a model that cannot be loaded changes nothing, and is tried again later.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import connections

from workers import registry
from workers.errors import Busy, NotFound, translated

if TYPE_CHECKING:
    from mlcore.decoding.networks.checkpoints import Loaded
    from mlcore.decoding.serving.models import Models

log = logging.getLogger(__name__)

AREA = "lm"
SLOTS = ("target", "draft", "aligned")
LOOK_SECONDS = 2.0
AGAIN_SECONDS = 30.0


@dataclass(frozen=True)
class Wanted:
    """The model that a slot should have: its folder, the version, and the time stamp of its card."""

    folder: Path
    version: int
    stamp: int

    @classmethod
    def now(cls, slot: str) -> Wanted | None:
        """As the registry says; None where there is no such folder."""
        active = registry.active(AREA, slot)
        try:
            return cls(active.folder, active.version, (active.folder / "card.json").stat().st_mtime_ns)
        except OSError:
            return None


Plan = dict[str, Wanted | None]


class Holder:
    """Loads what the registry names, once."""

    def __init__(self) -> None:
        self._loading = threading.Lock()
        self._looked: tuple[float, Plan] | None = None
        self._held: tuple[Plan, Models] | None = None
        self._refused: tuple[float, Plan] | None = None

    def models(self) -> Models:
        """What decodes now. Raises NotFound without a target, Busy when the first one cannot be loaded."""
        plan = self._plan()
        held = self._held
        if held is not None and (held[0] == plan or self._failed_lately(plan)):
            return held[1]
        if not self._loading.acquire(blocking=held is None):
            assert held is not None
            return held[1]
        try:
            if self._held is None or self._held[0] != plan:
                self._replace(plan)
            assert self._held is not None
            return self._held[1]
        finally:
            self._loading.release()

    def facts(self) -> dict[str, Any]:
        """Every slot as JSON or None: name, hash, version, parameters by the card; ``faults`` by slot; ``tasks``."""
        plan = self._plan()
        out: dict[str, Any] = {slot: _facts(wanted, plan["target"]) for slot, wanted in plan.items()}
        faults = {slot: _absent(slot) for slot, wanted in plan.items() if wanted is None}
        if self._held is not None and self._held[0] == plan:
            faults |= self._held[1].faults
        tasks = _tasks(plan["target"])
        return {**out, **dict.fromkeys(faults), "faults": faults} | ({"tasks": tasks} if tasks else {})

    def _plan(self) -> Plan:
        now = time.monotonic()
        if self._looked is None or now - self._looked[0] > LOOK_SECONDS:
            self._looked = (now, {slot: Wanted.now(slot) for slot in SLOTS})
        plan = self._looked[1]
        if plan["target"] is None:
            raise NotFound("There is no language model here yet.")
        return plan

    def _failed_lately(self, plan: Plan) -> bool:
        refused = self._refused
        return refused is not None and refused[1] == plan and time.monotonic() - refused[0] < AGAIN_SECONDS

    def _replace(self, plan: Plan) -> None:
        started = time.monotonic()
        try:
            with translated():
                models = _load(plan, self._held)
        except Busy:
            if self._held is None:
                raise
            self._refused = (time.monotonic(), plan)
            log.exception("the language models cannot be loaded; those before go on answering")
            return
        self._held, self._refused = (plan, models), None
        log.info("language models loaded in %.1f s: %s", time.monotonic() - started, models.target.name)


def _load(plan: Plan, before: tuple[Plan, Models] | None) -> Models:
    """The models of ``plan``; what has not changed is taken over."""
    from mlcore.decoding.networks.checkpoints import check_pair, load
    from mlcore.decoding.serving.models import Models
    from mlcore.runtime.device import choose
    from mlcore.runtime.errors import ModelError

    device = choose(settings.FERRY_DEVICE)
    found: dict[str, Loaded | None] = {}
    faults: dict[str, str] = {}
    for slot, wanted in plan.items():
        found[slot] = None
        if wanted is None:
            faults[slot] = _absent(slot)
            continue
        if before is not None and before[0].get(slot) == wanted:
            found[slot] = before[1].get(slot)
        try:
            found[slot] = model = found[slot] or load(wanted.folder, device=device)
            if slot != "target":
                assert found["target"] is not None
                check_pair(found["target"], model)
        except ModelError as fault:
            if slot == "target":
                raise
            found[slot], faults[slot] = None, str(fault)
            log.warning("the %s model cannot be used: %s", slot, fault)
    target = found["target"]
    assert target is not None
    versions = {slot: wanted.version for slot, wanted in plan.items() if wanted is not None}
    return Models(target, found["draft"], found["aligned"], versions, faults, _retrieval)


def _retrieval() -> Any:
    """The model that scores molecules against a text: the one that searches."""
    from workers import engine

    return engine.shared().loaded().model


def _facts(wanted: Wanted | None, target: Wanted | None) -> dict[str, Any] | None:
    if wanted is None:
        return None
    card = registry.read_card(wanted.folder)
    return {
        "name": wanted.folder.name,
        "hash": str(card.get("sha256", "")),
        "version": wanted.version,
        "parameters": card.get("parameters"),
        "note": _note(card, target),
    }


def _note(card: Mapping[str, Any], target: Wanted | None) -> str:
    """What is to be said of a draft whose card names the target that it was distilled from."""
    teacher = card.get("target")
    if not teacher or target is None or teacher == registry.read_card(target.folder).get("sha256"):
        return ""
    return "It was distilled from another target: what comes out is still exact, perhaps slower."


def _tasks(wanted: Wanted | None) -> list[str]:
    """What a model was trained to answer, by its card; empty where the card does not say."""
    found = registry.read_card(wanted.folder).get("tasks") if wanted is not None else None
    return [str(task) for task in found] if isinstance(found, list) else []


def _absent(slot: str) -> str:
    return f"There is no {slot} model on this server."


_shared = Holder()


def shared() -> Holder:
    """The models of this process."""
    return _shared


def warm_after(search: threading.Thread) -> threading.Thread:
    """Load the models in the background once ``search`` has ended: the search comes first."""

    def load() -> None:
        search.join()
        try:
            shared().models()
        except (Busy, NotFound):
            log.info("no language model yet; the first question looks again")
        finally:
            connections.close_all()

    thread = threading.Thread(target=load, name="language-models", daemon=True)
    thread.start()
    return thread


def forget() -> None:
    """Let go of all models; the next question loads them."""
    global _shared  # noqa: PLW0603  one set of models per process is the point
    _shared = Holder()
