"""Drawings: readable in both themes, transparent, titled, remembered."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest

from mlcore.retrieval.depict import depict
from mlcore.retrieval.inside.drawing import PALETTES
from mlcore.runtime.errors import InputError, LimitError

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"
GROUNDS = {"light": "#ffffff", "dark": "#11161d"}


def _luminance(code: str) -> float:
    parts = [int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    high, low = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_colour_stands_out_from_its_ground(theme: str) -> None:
    for colour in PALETTES[theme].values():
        assert contrast(colour, GROUNDS[theme]) >= 4.5, colour
    drawn = depict("C[C@H](N)C(=O)OC(F)(Cl)Br", theme=theme).decode()
    used = set(re.findall(r"(?:stroke|fill):(#[0-9A-Fa-f]{6})", drawn))
    assert used
    assert all(contrast(colour, GROUNDS[theme]) >= 4.5 for colour in used), used


def test_an_svg_is_well_formed_titled_and_has_no_ground() -> None:
    drawn = depict(ASPIRIN, title='aspirin <C9H8O4> & "more"', width=300, height=210)
    image = ET.fromstring(drawn.decode())
    assert image.get("role") == "img"
    assert image.get("aria-label") == 'aspirin <C9H8O4> & "more"'
    assert image.find("{http://www.w3.org/2000/svg}title").text == 'aspirin <C9H8O4> & "more"'
    assert (image.get("width"), image.get("height")) == ("300px", "210px")
    assert not image.findall("{http://www.w3.org/2000/svg}rect")
    assert b"<text" not in drawn
    assert b"<rect" in depict(ASPIRIN, ground="#ffffff")


def test_a_png_has_its_size_and_can_have_a_white_ground() -> None:
    for ground in ("", "#ffffff"):
        drawn = depict(ASPIRIN, format="png", width=321, height=123, ground=ground)
        assert drawn.startswith(b"\x89PNG")
        assert (int.from_bytes(drawn[16:20], "big"), int.from_bytes(drawn[20:24], "big")) == (321, 123)


def test_atoms_stand_out_in_their_colours() -> None:
    plain = depict(ASPIRIN).decode()
    marked = depict(ASPIRIN, atoms={0: "#00ff00", 1: "", 99: "#123456"}).decode()
    assert "#00FF00" not in plain
    assert "#00FF00" in marked
    assert "#FFD166" in marked
    assert "#FFD166" in depict(ASPIRIN, atoms=[1, 2]).decode()


def test_stereo_labels_numbers_and_a_shared_core() -> None:
    alanine = "C[C@H](N)C(=O)O"
    assert depict(alanine, stereo=True) != depict(alanine, stereo=False)
    assert depict(alanine, numbers=True) != depict(alanine)
    assert depict("Cc1ccccc1", core="c1ccccc1") != b""


@pytest.mark.parametrize(
    ("options", "field"),
    [({"format": "gif"}, "format"), ({"theme": "sepia"}, "theme"), ({"width": 3}, "width"),
     ({"height": 9999}, "height"),
     ({"atoms": {0: "red"}}, "atoms"), ({"ground": "white"}, "ground"), ({"core": "[C"}, "structure")],
)  # fmt: skip
def test_bad_options_are_named(options: dict, field: str) -> None:
    with pytest.raises(InputError) as caught:
        depict(ASPIRIN, **options)
    assert caught.value.field == field


def test_what_cannot_be_drawn_is_said() -> None:
    with pytest.raises(InputError, match="never closed"):
        depict("C1CC")
    with pytest.raises(LimitError, match="heavy atoms"):
        depict("C" * 5000)


def test_the_same_drawing_is_made_once() -> None:
    class Counting:
        def __init__(self) -> None:
            self.calls = 0

        def call(self, name: str, arguments: dict) -> tuple[None, bytes]:
            self.calls += 1
            return None, b"<svg></svg>"

    sandbox = Counting()
    first = depict("CCO", sandbox=sandbox)
    assert depict("CCO", sandbox=sandbox) == first
    assert b"<title>ethanol</title>" in depict("CCO", title="ethanol", sandbox=sandbox)
    assert sandbox.calls == 1
    depict("CCO", theme="dark", sandbox=sandbox)
    assert sandbox.calls == 2
