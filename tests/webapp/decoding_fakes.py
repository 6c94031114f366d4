"""A door that decodes by script: fixed tokens in the shape of the contract, for tests of the page."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

HASHES = {"target": "a1" * 32, "draft": "b2" * 32, "aligned": "c3" * 32}
EXACTNESS = "Speculative and SpecTr draw from exactly the same law."
SPEEDS = {
    "speculative": (0.81, "Slower here, because only 31 % of the drafted tokens were accepted."),
    "spectr": (1.9, "1.9 times as fast as autoregressive (190 against 100 tokens per second)."),
}  # fmt: skip
#: (text, kind) of the answers, and how the text of a whole lane reads
MOLECULE = (
    ("CC", "accepted"),
    ("(=O)", "accepted"),
    ("O", "corrected"),
    ("c1ccccc1", "bonus"),
    ("", "sampled"),
)
BROKEN = (("CC", "sampled"), ("(", "sampled"), ("C", "sampled"))
TEXT = (
    ("The", "sampled"),
    (" molecule", "accepted"),
    (" is", "corrected"),
    (" <an> ester.", "bonus"),
    ("", "sampled"),
)


class Decoding:
    """The verbs of the door. Once :meth:`hold` was called, each token waits for :meth:`release`."""

    def __init__(self) -> None:
        self._held = False
        self._released = threading.Semaphore(0)
        self.asked: list[Mapping[str, Any]] = []
        self.told = 0
        self.stopped = False
        self.fault: Exception | None = None
        self.absent = {"aligned"}

    def hold(self) -> None:
        """From now on tokens wait."""
        self._held = True

    def release(self, tokens: int = 0) -> None:
        """Let so many tokens through; without a number, all that will ever come."""
        if tokens:
            self._released.release(tokens)
        else:
            self._held = False

    def describe(self) -> dict[str, Any]:
        """What can be asked, as the science says it."""
        from mlcore.decoding.serving.description import describe

        return describe()

    def models(self) -> dict[str, Any]:
        """Two models of three."""
        found: dict[str, Any] = dict.fromkeys(("target", "draft", "aligned"))
        for slot, digest in HASHES.items():
            if slot not in self.absent:
                found[slot] = {
                    "name": f"lm-{slot}",
                    "hash": digest,
                    "version": 1,
                    "parameters": 1_500_000,
                    "note": "",
                }
        return {**found, "tasks": ["molecule", "description"]}

    def watch(
        self, request: Mapping[str, Any], stopping: Callable[[], bool] = lambda: False
    ) -> Iterator[dict[str, Any]]:
        """The events of a request."""
        from mlcore.decoding.serving.requests import Request, build_reward
        from mlcore.runtime.errors import InputError
        from workers.errors import BadInput

        self.asked.append(request)
        try:
            checked = Request.read(request)
            if (request["reward"] or {}).get("name") != "retrieval":
                build_reward(checked)
        except InputError as error:
            raise BadInput(error.message, error.field or "", error.remedy or "") from error
        lanes = [lane.facts() for lane in checked.lanes]
        yield {
            "event": "opened",
            "lanes": lanes,
            "models": {slot: self.models()[slot] for slot in ("target", "draft", "aligned")},
            "prompt": {"tokens": 12, "text": checked.prompt},
            "seed": checked.seed,
            "exactness": EXACTNESS,
        }
        for number, lane in enumerate(lanes):
            for event in self._lane(number, lane["method"], request):
                while self._held and event["event"] == "token" and not self._released.acquire(timeout=0.02):
                    if stopping():
                        break
                if stopping():
                    self.stopped = True
                    return
                if self.fault and event["event"] == "done":
                    raise self.fault
                self.told += 1
                yield event
        yield {
            "event": "closed",
            "comparison": [
                {"lane": number, "speedup": SPEEDS[lane["method"]][0], "interval": [0.7, 0.9], "n": 3}
                | {"sentence": SPEEDS[lane["method"]][1]}
                for number, lane in enumerate(lanes)
                if lane["method"] in SPEEDS
            ],
        }

    def frontier(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Five points."""
        self.asked.append(request)
        rows = [
            *({"method": "cd", "alpha": alpha, "n": None, "reward": 0.7 - alpha / 4, "kl": 2 - alpha, "tokens": 900}
              for alpha in (0.1, 0.5, 1.0)),
            *({"method": "best_of", "alpha": None, "n": n, "reward": 0.4 + n / 50, "kl": n / 4, "tokens": 40 * n}
              for n in (2, 8)),
        ]  # fmt: skip
        return {"rows": rows}

    def _lane(self, number: int, method: str, request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        from mlcore.decoding.events import FORMULAE

        words = (
            TEXT
            if request["task"] != "molecule"
            else BROKEN
            if method == "aligned" or "broken" in request["prompt"]
            else MOLECULE
        )
        drafting = method in ("speculative", "spectr")
        if drafting:
            drafts = [[*words[:2], ("[Na+]", "")], [("N", ""), ("#", ""), ("N", "")]]
            yield {"event": "drafted", "lane": number, "drafts": [self._ids(each) for each in drafts]}
        for text, kind in words:
            chosen = method in ("cd", "best_of", "args", "transfer_q")
            yield {
                "event": "token",
                "lane": number,
                "id": _number(text),
                "text": text,
                "kind": kind if drafting else "chosen" if chosen else "sampled",
                "alternatives": {
                    "target": [[text, 0.62], ["<b>", 0.2]],
                    "draft": [["N", 0.5], [text, 0.3]] if drafting else [],
                    "values": [[text, 0.7], ["N", 0.4]] if chosen else [],
                },
            }
        whole = "".join(text for text, _ in words)
        yield {
            "event": "done",
            "lane": number,
            "text": whole,
            "reason": "length" if words is BROKEN else "end",
            "counts": {
                "emitted": len(words), "target_calls": 2, "target_tokens": 8, "draft_calls": 4 if drafting else 0,
                "drafted": 6 if drafting else 0, "accepted": 2, "corrected": 1, "bonus": 1,
                "reached": [2, 2, 1] if drafting else [], "passed": [2, 1, 0] if drafting else [],
                "rollouts": 0, "rewards": 0,
                "seconds": {"prompt": 0.01, "draft": 0.02, "target": 0.03, "verify": 0.005, "total": 0.08},
            },
            "rates": {"block_efficiency": len(words) / 2, "acceptance": 0.6, "tokens_per_second": 62.5},
            "formulae": dict(FORMULAE),
            "molecule": self._molecule(whole, words is not BROKEN) if request["task"] == "molecule" else None,
            "reward": 0.537 if request.get("reward") else None,
            "kl": 0.25 if method in ("cd", "best_of") else 0.0,
        }  # fmt: skip

    def _molecule(self, smiles: str, valid: bool) -> dict[str, Any]:
        facts = {"formula": "C8H8O2", "weight": 136.15, "qed": 0.56, "logp": 1.61} if valid else {}
        return {
            "smiles": smiles,
            "valid": valid,
            "formula": None,
            "weight": None,
            "qed": None,
            "logp": None,
            **facts,
        }

    def _ids(self, words: Any) -> list[dict[str, Any]]:
        return [{"id": _number(text), "text": text} for text, _ in words]


def _number(text: str) -> int:
    return sum(map(ord, text)) % 997


def install(monkeypatch: Any) -> Decoding:
    """Put the door in front of the pages."""
    from workers import inference

    door = Decoding()
    for name in ("describe", "models", "watch", "frontier"):
        monkeypatch.setattr(inference, f"decoding_{name}", getattr(door, name))
    return door
