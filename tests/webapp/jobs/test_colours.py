"""Curves and states can be told from their ground in both palettes, and a file has the colours of the page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from webapp.jobs.charts import LIGHT

CSS = Path(__file__).parents[3] / "frontend" / "static" / "css"
GROUNDS = ("#ffffff", "#1a2021")  # the surface in light and dark, as tokens.css has it


def declared() -> dict[str, tuple[str, str]]:
    """Light and dark of every colour of these pages."""
    text = "".join((CSS / name).read_text(encoding="utf-8") for name in ("tokens.css", "jobs.css"))
    found = re.findall(r"(--[a-z0-9-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", text)
    return {name: (light, dark) for name, light, dark in found}


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_contrast(theme):
    colours = declared()
    assert colours["--surface"] == GROUNDS
    for name in ("--good", *(f"--curve-{number}" for number in range(1, 9))):
        one, other = luminance(colours[name][theme]), luminance(GROUNDS[theme])
        contrast = (max(one, other) + 0.05) / (min(one, other) + 0.05)
        assert contrast >= 4.5, name


def test_a_file_has_the_light_colours_of_the_page():
    colours = declared()
    assert {name: colours[name][0] for name in LIGHT} == LIGHT
