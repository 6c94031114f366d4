"""How much a text repeats itself: the diversity that alignment papers report, and the same without its quirk."""

from __future__ import annotations

_ORDERS = (2, 3, 4)


def diversity(text: str, *, released: bool = False) -> float:
    """Π over n = 2, 3, 4 of the share of distinct word n-grams: 1 where none repeats or none exists, near 0 for loops.

    ``released`` gives the figure of the published evaluation code, which counts one n-gram more than there are in
    the denominator, (unique / (N + 1)), so that a text without repetition has less than 1, and a shorter one still
    less: texts of different lengths cannot be compared by it.
    """
    words = text.split()
    found = 1.0
    for order in _ORDERS:
        grams = [tuple(words[start : start + order]) for start in range(len(words) - order + 1)]
        total = len(grams) + (1 if released else 0)
        found *= len(set(grams)) / total if total else 1.0
    return found
