"""Speeds beside plain sampling: closed forms of ratio and interval, and the reason that is the real one."""

from __future__ import annotations

import math
from typing import Any

import pytest

from mlcore.decoding.events import Counts
from mlcore.decoding.serving.comparison import compared

PLAIN = {"emitted": 100, "target_calls": 100, "target_tokens": 100}


def counts(seconds: dict[str, float], **numbers: Any) -> Counts:
    return Counts(**numbers, seconds={**seconds, "total": sum(seconds.values())})


def plain(prompt: float = 0.01, target: float = 1.0) -> Counts:
    return counts({"prompt": prompt, "target": target}, **PLAIN)


def speculative(
    rounds: int, accepted: int, *, length: int = 4, drafts: int = 1, emitted: int = 100, **seconds: float
) -> Counts:
    spent = {"prompt": 0.02, "draft": 0.1, "target": 0.4, "verify": 0.01} | seconds
    return counts(
        spent,
        emitted=emitted,
        target_calls=rounds,
        target_tokens=rounds * (length + 1) * drafts,
        draft_calls=rounds * length,
        drafted=rounds * length * drafts,
        accepted=accepted,
        reached=[rounds] * length,
        passed=[accepted // length] * length,
    )


def test_one_run_has_a_ratio_and_no_interval() -> None:
    row = compared(1, [speculative(25, 75)], [plain()])
    assert row["speedup"] == pytest.approx(1.01 / 0.53)
    assert (row["lane"], row["interval"], row["n"]) == (1, None, 1)
    assert row["sentence"] == "1.9 times as fast as autoregressive (189 against 99 tokens per second)."


def test_several_runs_have_the_interval_of_student() -> None:
    own = [speculative(25, 75, target=0.4), speculative(25, 75, target=0.5)]
    row = compared(0, own, [plain(), plain()])
    logs = [math.log(1.01 / 0.53), math.log(1.01 / 0.63)]
    middle, half = sum(logs) / 2, abs(logs[0] - logs[1]) / 2
    assert row["speedup"] == pytest.approx(math.exp(middle))
    # with one degree of freedom t is Cauchy: its 97.5 % quantile is tan(0.475 π), and s / sqrt(2) is the half distance
    reach = math.tan(0.475 * math.pi) * half
    assert row["interval"] == pytest.approx([math.exp(middle - reach), math.exp(middle + reach)])
    assert row["n"] == 2
    assert row["sentence"].startswith("No difference from autoregressive could be measured")


@pytest.mark.parametrize(
    ("own", "words"),
    [
        (speculative(90, 10, draft=0.5, target=1.2), "only 3% of the drafted tokens were accepted"),
        (speculative(90, 10, draft=0.5, target=1.2, drafts=2), "only 3% of a draft's tokens were accepted"),
        (speculative(20, 80, draft=3.0), "drafting took 87% of the time"),
        (speculative(20, 80, target=3.0), "a target call for 5 tokens took 15.0 times as long as one for a single"),
        (speculative(1, 4, emitted=5, prompt=0.2, draft=0.01, target=0.02), "only 5 tokens, and both models' reading"),
        (counts({"target": 9.0}, **PLAIN, rollouts=900, rewards=50), "900 further tokens were generated and 50 texts"),
        (counts({"target": 9.0}, **PLAIN), "it makes the same calls"),
    ],
)  # fmt: skip
def test_the_reason_of_a_slower_run_is_what_would_have_saved_most(own: Counts, words: str) -> None:
    row = compared(0, [own], [plain()])
    assert row["speedup"] < 1
    assert row["sentence"].startswith("Slower here, ")
    assert words in row["sentence"]


def test_a_short_answer_says_little() -> None:
    row = compared(0, [speculative(1, 4, emitted=5, prompt=0.001, draft=0.001, target=0.01)], [plain()])
    assert "with only 5 tokens this says little" in row["sentence"]


def test_what_was_not_timed_is_not_compared() -> None:
    assert compared(0, [Counts()], [plain()])["speedup"] is None
