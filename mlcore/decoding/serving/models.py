"""The models that a decoding may call on, and how fast they are."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlcore.decoding.networks.checkpoints import Loaded, pairing
from mlcore.decoding.schedule import call_seconds

if TYPE_CHECKING:
    from mlcore.retrieval.model import RetrievalModel

#: what a model is for: it answers, it drafts, it was aligned
SLOTS = ("target", "draft", "aligned")


@dataclass
class Models:
    """A target, and what else there is; all speak the target's vocabulary.

    ``versions`` and ``faults`` say by slot which version a model is, and why one is not here. ``retrieval`` gives the
    model that scores a molecule against a text.
    """

    target: Loaded
    draft: Loaded | None = None
    aligned: Loaded | None = None
    versions: Mapping[str, int] = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)
    retrieval: Callable[[], RetrievalModel] | None = None
    #: methods that have run: the first calls of a process are slower and not measured
    warm: set[str] = field(default_factory=set)
    _costs: dict[tuple[str, int, int], float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, slot: str) -> Loaded | None:
        """The model in a slot."""
        found: Loaded | None = getattr(self, slot)
        return found

    def facts(self) -> dict[str, dict[str, Any] | None]:
        """Every slot as JSON: name, hash of the weights, version, parameters, and what is to be said of it."""
        return {slot: self._facts(slot) for slot in SLOTS}

    def seconds(self, slot: str, rows: int, width: int) -> float:
        """The seconds of one call that reads ``width`` tokens in each of ``rows`` rows, measured once."""
        model = self.get(slot) or self.target
        rows = 1 << (rows - 1).bit_length()
        with self._lock:
            if (slot, rows, width) not in self._costs:
                held = max(1, min(64, model.decoder.context - width - 2))
                self._costs[slot, rows, width] = call_seconds(model.decoder, rows, width, held)
            return self._costs[slot, rows, width]

    def _facts(self, slot: str) -> dict[str, Any] | None:
        model = self.get(slot)
        if model is None:
            return None
        return {
            "name": model.name,
            "hash": model.hash,
            "version": self.versions.get(slot, 0),
            "parameters": sum(weight.numel() for weight in model.network.parameters()),
            "note": pairing(self.target, model) if slot == "draft" else "",
        }
