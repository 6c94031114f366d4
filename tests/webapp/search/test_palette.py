"""Both palettes meet WCAG AA: 4.5 for text, 3 for the edges of controls and for marks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TOKENS = Path(__file__).parents[3] / "frontend" / "static" / "css" / "tokens.css"
TEXT = [
    *[(ink, ground) for ink in ("ink", "muted") for ground in ("paper", "surface", "sunken")],
    *[("accent", ground) for ground in ("paper", "surface", "accent-soft")],
    *[("accent-strong", ground) for ground in ("paper", "surface", "accent-soft")],
    *[("ink", ground) for ground in ("accent-soft", "warn-soft", "bad-soft")],
    *[
        ("on-accent", "accent"),
        ("on-accent", "accent-strong"),
        ("bad", "surface"),
        ("warn", "surface"),
        ("paper", "ink"),
    ],
]
MARKS = [
    ("edge", "surface"),
    ("edge", "paper"),
    ("accent", "surface"),
    ("bad", "bad-soft"),
    ("warn", "warn-soft"),
]


def palette(theme: int) -> dict[str, tuple[float, float, float]]:
    pattern = r"--([a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)"
    found = re.findall(pattern, TOKENS.read_text(encoding="utf-8"))
    assert len(found) >= 14
    return {name: tuple(int(pair[theme][at : at + 2], 16) / 255 for at in (1, 3, 5)) for name, *pair in found}


def luminance(colour: tuple[float, float, float]) -> float:
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: tuple[float, float, float], other: tuple[float, float, float]) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_the_measure_itself():
    assert contrast((1, 1, 1), (0, 0, 0)) == pytest.approx(21)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("pairs", "least"), [(TEXT, 4.5), (MARKS, 3.0)], ids=["text", "marks"])
def test_contrast(theme, pairs, least):
    colours = palette(theme)
    low = {pair: round(contrast(colours[pair[0]], colours[pair[1]]), 2) for pair in pairs}
    assert {pair: value for pair, value in low.items() if value < least} == {}
