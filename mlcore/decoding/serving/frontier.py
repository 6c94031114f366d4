"""Reward against distance from the target's law: a guided method at several α, and best-of-N for as many tokens."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mlcore.decoding.guidance.options import TransferQ
from mlcore.decoding.serving.methods import METHODS, BestOfN
from mlcore.decoding.serving.models import Models
from mlcore.decoding.serving.requests import Lane, Request
from mlcore.decoding.serving.session import NEXT_RUN, outcome
from mlcore.runtime.errors import InputError

#: α of the rows, in multiples of the one that is asked for
FACTORS = (8.0, 4.0, 2.0, 1.0, 0.5, 0.25, 0.125)
#: largest N of best-of-N
MOST = 256


def frontier(
    request: Request, models: Models, stopping: Callable[[], bool] = lambda: False
) -> dict[str, Any]:
    """``{"rows": [{"method", "alpha" | "n", "reward", "kl", "tokens", "answers"}], "matched", "sentence"}``.

    The first guided lane of ``request`` says which method and parameters; without one it is Transfer Q*, or controlled
    decoding where no aligned model is. Every row is the mean of ``request.repeats`` answers with seeds of their own.
    ``tokens`` are those generated for one answer, looked ahead or not taken included; ``matched`` is the N of best-of-N
    whose answers take as many as the guided method's. ``kl`` is measured along guided answers, and the bound
    log N - (N - 1)/N for best-of-N.

    Raises:
        InputError, LimitError: no reward, or what decoding a lane would raise.
    """
    if request.reward is None:
        raise InputError(
            "There is no reward to go for.", field="reward", remedy='Give one, as {"name": "qed"}.'
        )
    base = _guided(request, models)
    rows: list[Mapping[str, Any]] = []
    for factor in FACTORS:
        lane = replace(base, options=replace(base.options, alpha=base.options.alpha * factor))
        row = _row(request, models, lane, stopping)
        if row is None:
            return _told(rows, None)
        rows.append({"method": base.method.name, "alpha": lane.options.alpha, **row})
    budget = statistics.fmean(row["tokens"] for row in rows)
    matched = None
    for samples in _samples():
        row = _row(request, models, Lane(METHODS["best_of"], BestOfN(n=samples)), stopping)
        if row is None:
            break
        if row["tokens"] > budget and samples > 1:
            one = row["tokens"] / samples
            matched = max(1, min(MOST, round(budget / one)))
            break
        rows.append({"method": "best_of", "n": samples, **row})
    if matched is not None and all(row.get("n") != matched for row in rows):
        row = _row(request, models, Lane(METHODS["best_of"], BestOfN(n=matched)), stopping)
        if row is not None:
            rows.append({"method": "best_of", "n": matched, **row})
    return _told(rows, matched)


def _samples() -> Iterator[int]:
    samples = 1
    while samples <= MOST:
        yield samples
        samples *= 2


def _guided(request: Request, models: Models) -> Lane:
    for lane in request.lanes:
        if isinstance(lane.options, TransferQ):
            return lane
    method = METHODS["transfer_q" if models.aligned is not None else "cd"]
    return Lane(method, method.options)


def _row(request: Request, models: Models, lane: Lane, stopping: Callable[[], bool]) -> dict[str, Any] | None:
    """The means over the answers of one lane; None when it was stopped."""
    answers = []
    for repeat in range(request.repeats):
        seed = request.seed + repeat * NEXT_RUN
        asked = replace(request, lanes=(lane,), seed=seed, alternatives=0, repeats=1)
        found = outcome(asked, models, stopping, compare=False)
        if not found["lanes"]:
            return None
        answers.append(found["lanes"][0])
    counts = [answer["counts"] for answer in answers]
    return {
        "reward": statistics.fmean(answer["reward"] for answer in answers),
        "kl": _mean([answer["kl"] for answer in answers]),
        "tokens": statistics.fmean(each["emitted"] + each["rollouts"] for each in counts),
        "answers": len(answers),
    }


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if len(known) == len(values) else None


def _told(rows: Sequence[Mapping[str, Any]], matched: int | None) -> dict[str, Any]:
    guided = [row for row in rows if row["method"] != "best_of"]
    others = [row for row in rows if row["method"] == "best_of"]
    sentence = ""
    if guided and others:
        best, rival = max(guided, key=_reward), max(others, key=_reward)
        sentence = (
            f"{METHODS[best['method']].title} reaches {best['reward']:.3g} at α = {best['alpha']:.3g} with "
            f"{best['tokens']:,.0f} tokens; best of {rival['n']} reaches {rival['reward']:.3g} with "
            f"{rival['tokens']:,.0f}."
        )
    return {"rows": list(rows), "matched": matched, "sentence": sentence}


def _reward(row: Mapping[str, Any]) -> float:
    return float(row["reward"])
