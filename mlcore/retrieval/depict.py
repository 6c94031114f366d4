"""Structures as pictures: SVG or PNG, light or dark, with atoms that stand out; drawn in the sandbox and remembered."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from html import escape

from mlcore.runtime.errors import InputError
from mlcore.runtime.sandbox import Sandbox, shared

FORMATS = {"svg": "image/svg+xml", "png": "image/png"}
THEMES = ("light", "dark")
SMALLEST, LARGEST = 40, 2000
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


def depict(
    smiles: str,
    *,
    format: str = "svg",
    width: int = 260,
    height: int = 200,
    theme: str = "light",
    atoms: Sequence[int] | Mapping[int, str] = (),
    stereo: bool = True,
    core: str = "",
    numbers: bool = False,
    ground: str = "",
    title: str = "",
    sandbox: Sandbox | None = None,
) -> bytes:
    """``smiles`` drawn as bytes of ``format`` (``svg`` or ``png``), pixels ``width x height``.

    ``atoms`` stand out: their numbers in ``smiles`` from 0, or a mapping of these to colours ``#rrggbb``.
    ``stereo`` writes R, S, E and Z. ``core`` (SMARTS) is laid out alike in every drawing that contains it.
    ``numbers`` writes the atoms' numbers from 1. ``ground`` is a colour behind the drawing, transparent
    without. ``title`` becomes the SVG's accessible name. Raises :class:`InputError` naming the field.
    """
    if format not in FORMATS:
        raise InputError(
            f"'{format[:20]}' is not a picture format.", field="format", remedy="Use svg or png."
        )
    if theme not in THEMES:
        raise InputError(f"'{theme[:20]}' is not a theme.", field="theme", remedy="Use light or dark.")
    for name, value in (("width", width), ("height", height)):
        if not SMALLEST <= value <= LARGEST:
            raise InputError(
                f"A {name} of {value} pixels is not possible.",
                field=name,
                remedy=f"Use {SMALLEST} to {LARGEST}.",
            )
    colours = atoms if isinstance(atoms, Mapping) else dict.fromkeys(atoms, "")
    for name, colour in [("ground", ground), *(("atoms", colour) for colour in colours.values())]:
        if colour and not _COLOUR.fullmatch(colour):
            raise InputError(f"'{colour[:20]}' is not a colour.", field=name, remedy="Write it like #ffcc00.")
    marked = tuple(sorted((int(number), colour) for number, colour in colours.items()))
    drawn = _drawn(smiles, format, width, height, theme, marked, stereo, core, numbers, ground, sandbox)
    return _titled(drawn, title or smiles) if format == "svg" else drawn


@lru_cache(maxsize=4096)
def _drawn(
    smiles: str,
    form: str,
    width: int,
    height: int,
    theme: str,
    atoms: tuple[tuple[int, str], ...],
    stereo: bool,
    core: str,
    numbers: bool,
    ground: str,
    sandbox: Sandbox | None,
) -> bytes:
    arguments = {
        "smiles": smiles,
        "form": form,
        "width": width,
        "height": height,
        "theme": theme,
        "atoms": {str(number): colour for number, colour in atoms},
        "stereo": stereo,
        "core": core,
        "numbers": numbers,
        "ground": ground,
    }
    try:
        _, drawn = (sandbox or shared()).call("mlcore.retrieval.inside.drawing:draw", arguments)
    except InputError as fault:
        fault.field = fault.field or "structure"
        raise
    return drawn


def _titled(svg: bytes, title: str) -> bytes:
    """``svg`` as an image with an accessible name, without the XML prolog, so that pages can hold it inline."""
    text = svg.decode()
    text = text[text.index("<svg") :]
    shown = "".join(letter for letter in title if letter.isprintable())
    head, rest = text.split(">", 1)
    return f'{head} role="img" aria-label="{escape(shown)}"><title>{escape(shown)}</title>{rest}'.encode()
