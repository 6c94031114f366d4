"""What every decoding method says while it works, and what it counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["sampled", "accepted", "corrected", "bonus", "chosen"]
Reason = Literal["end", "length", "context"]


@dataclass(frozen=True)
class Alternatives:
    """The likeliest tokens where one was emitted, (token, probability) in falling order; ``values`` where a token was
    chosen by what it promises: (token, estimated reward)."""

    target: tuple[tuple[int, float], ...] = ()
    draft: tuple[tuple[int, float], ...] = ()
    values: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class Drafted:
    """``drafts`` are the continuations that the draft proposes for prompt ``row``."""

    row: int
    drafts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Emitted:
    """One more token of the answer to prompt ``row``.

    ``accepted``: a drafted token that passed; ``corrected``: the token that stands for rejected ones; ``bonus``: the
    target's own token after a block that passed whole; ``sampled``: drawn from the model without a draft; ``chosen``:
    picked by its value.
    """

    row: int
    token: int
    kind: Kind
    alternatives: Alternatives | None = None


@dataclass
class Counts:
    """Raw counts of one answer, from which every rate is made, and the seconds that its parts took."""

    emitted: int = 0
    target_calls: int = 0  # forward passes of the target after the prompt was read
    target_tokens: int = 0  # tokens that they scored, over all rows
    draft_calls: int = 0
    drafted: int = 0  # tokens, over all drafts
    accepted: int = 0
    corrected: int = 0
    bonus: int = 0
    reached: list[int] = field(default_factory=list)  # blocks that came to test position i
    passed: list[int] = field(default_factory=list)  # blocks in which a token was accepted there
    rollouts: int = 0  # tokens generated to look ahead
    rewards: int = 0  # texts that were scored
    seconds: dict[str, float] = field(default_factory=dict)  # "prompt", "draft", "target", "verify", "total"

    @property
    def block_efficiency(self) -> float:
        """Tokens per target call: ``emitted / target_calls``."""
        return self.emitted / self.target_calls if self.target_calls else 0.0

    @property
    def acceptance(self) -> float:
        """Share of tested positions where a draft passed: ``sum(passed) / sum(reached)``."""
        return sum(self.passed) / sum(self.reached) if sum(self.reached) else 0.0

    @property
    def tokens_per_second(self) -> float:
        """``emitted / seconds["total"]``, reading the prompt included."""
        return self.emitted / self.seconds["total"] if self.seconds.get("total") else 0.0


@dataclass(frozen=True)
class Done:
    """The answer to prompt ``row`` is complete: its ``tokens`` (an end token included), why, and what was counted."""

    row: int
    tokens: tuple[int, ...]
    reason: Reason
    counts: Counts


Event = Drafted | Emitted | Done

#: formula of every rate that is shown, in terms of the raw counts
FORMULAE = {
    "block_efficiency": "emitted / target_calls",
    "acceptance": "sum(passed) / sum(reached)",
    "tokens_per_second": "emitted / seconds.total",
}
