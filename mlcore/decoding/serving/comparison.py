"""How fast a method was beside plain sampling on the same prompt, and why where it was slower.

The reason is found by asking what would have been saved: with every drafted token accepted, with drafts that cost
nothing, with target calls that cost what plain sampling pays for one, with a prompt read by the target alone. What
saves most is what is told, with its count.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

from mlcore.decoding.events import Counts

_ABOUT = 0.03  # speed-ups within this of 1 are called the same speed
_FEW = 12  # tokens below which an answer is too short to judge a speed by


def compared(lane: int, own: Sequence[Counts], baseline: Sequence[Counts]) -> dict[str, Any]:
    """The speed-up of runs over those of the baseline, the i-th against the i-th, as JSON.

    One run has no interval; of several, the speed-up is the geometric mean of the ratios of their tokens per second and
    the interval holds 95 % by Student's t on the logarithms.
    """
    ratios = [
        math.log(mine.tokens_per_second / plain.tokens_per_second)
        for mine, plain in zip(own, baseline, strict=True)
        if mine.tokens_per_second and plain.tokens_per_second
    ]
    if not ratios:
        return {"lane": lane, "speedup": None, "interval": None, "n": 0, "sentence": "Too short to be timed."}
    middle = statistics.fmean(ratios)
    speedup = math.exp(middle)
    interval = None
    if len(ratios) > 1:
        reach = _quantile(len(ratios) - 1) * statistics.stdev(ratios) / math.sqrt(len(ratios))
        interval = [math.exp(middle - reach), math.exp(middle + reach)]
    told = sentence(speedup, interval, len(ratios), own[0], baseline[0])
    return {"lane": lane, "speedup": speedup, "interval": interval, "n": len(ratios), "sentence": told}


def sentence(speedup: float, interval: Sequence[float] | None, n: int, own: Counts, baseline: Counts) -> str:
    """The comparison in words."""
    spread = (
        f", {interval[0]:.2f} to {interval[1]:.2f} with 95 % confidence from {n} runs" if interval else ""
    )
    if interval and interval[0] < 1 < interval[1]:
        return f"No difference from autoregressive could be measured: {speedup:.2g} times its speed{spread}."
    if speedup < 1 - _ABOUT:
        return f"Slower here, {speedup:.2g} times the speed of autoregressive{spread}, because {why(own, baseline)}."
    how = f"{speedup:.1f} times as fast as autoregressive{spread}"
    if speedup < 1 + _ABOUT:
        how = f"As fast as autoregressive{spread}"
    figures = f"{own.tokens_per_second:,.0f} against {baseline.tokens_per_second:,.0f} tokens per second"
    few = f"; with only {own.emitted} tokens this says little" if own.emitted < _FEW else ""
    return f"{how} ({figures}{few})."


def why(own: Counts, baseline: Counts) -> str:
    """The largest cause of ``own`` being slower than ``baseline``, as the end of a sentence."""
    if own.rollouts or own.rewards:
        tokens = f"{own.rollouts:,} further tokens were generated and {own.rewards:,} texts rewarded"
        return f"{tokens} to choose the {own.emitted} that are told"
    if not own.drafted:
        tokens = f"its answer has {own.emitted} tokens and the other {baseline.emitted}"
        return f"{tokens}: it makes the same calls, and the rest is the machine and the reading of the prompt"
    saved = _savings(own, baseline)
    return _causes(own, baseline)[max(saved, key=lambda name: saved[name])]


def _causes(own: Counts, baseline: Counts) -> dict[str, str]:
    """Each cause in words, by the name of its remedy in :func:`_savings`."""
    shares = {
        part: f"{own.seconds.get(part, 0.0) / own.seconds['total']:.0%}" for part in ("draft", "prompt")
    }
    passed = own.accepted / max(1, own.draft_calls)  # of several drafts, one call writes a token of each
    drafted = "the drafted tokens" if own.drafted == own.draft_calls else "a draft's tokens"
    width = own.target_tokens / max(1, own.target_calls)
    times = _call(own) / _call(baseline)
    return {
        "acceptance": f"only {passed:.0%} of {drafted} were accepted",
        "drafting": f"drafting took {shares['draft']} of the time",
        "calls": f"a target call for {width:.0f} tokens took {times:.1f} times as long as one for a single token",
        "prompt": f"the answer has only {own.emitted} tokens, and both models' reading of the prompt took "
        f"{shares['prompt']} of the time",
    }


def _savings(own: Counts, baseline: Counts) -> dict[str, float]:
    """The seconds that each remedy alone would have saved."""
    seconds = own.seconds
    rounds = max(1, own.target_calls)
    looping = sum(seconds.get(part, 0.0) for part in ("draft", "target", "verify"))
    longest = max(1, len(own.reached)) + 1
    fewest = min(1.0, math.ceil(own.emitted / longest) / rounds)
    return {
        "acceptance": looping * (1 - fewest),
        "drafting": seconds.get("draft", 0.0),
        "calls": seconds.get("target", 0.0) - own.target_calls * _call(baseline),
        "prompt": seconds.get("prompt", 0.0) - baseline.seconds.get("prompt", 0.0),
    }


def _call(counts: Counts) -> float:
    """Seconds of one target call."""
    return counts.seconds.get("target", 0.0) / max(1, counts.target_calls) or 1e-9


def _quantile(freedom: int) -> float:
    from scipy.stats import t

    return float(t.ppf(0.975, freedom))
