"""Structure drawings as the pages use them: free of inline styles, as a strict content policy wants them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape

from webapp.search.vocabulary import THEMES
from workers import inference

CARD = (300, 210)
LARGE = (400, 290)
MAX_SIDE = 2_000
LABELLED = 400  # pixels from which there is room for R, S, E and Z
PAPER = {"light": "#ffffff", "dark": "#1a2021"}

_PROLOG = re.compile(r"^\s*(<\?xml.*?\?>|<!DOCTYPE.*?>|<!--.*?-->|\s)*", re.DOTALL)
_STYLE = re.compile(r"""\sstyle=(['"])(.*?)\1""", re.DOTALL)
_ROOT = re.compile(r"<svg\b[^>]*>", re.DOTALL)
_REPLACED = re.compile(r"""\s(?:width|height|role|aria-label)=(['"]).*?\1""", re.DOTALL)
_TITLE = re.compile(r"<title>.*?</title>", re.DOTALL)
_PRESENTATION = re.compile(r"^[a-z-]+$")


def clean(markup: str) -> str:
    """SVG text with every ``style`` turned into presentation attributes and without prolog or comments.

    ``style='fill:none;stroke:#000'`` becomes ``fill="none" stroke="#000"``, which means the same and needs no
    ``unsafe-inline`` in the content policy.
    """
    return _STYLE.sub(_attributes, _PROLOG.sub("", markup, count=1))


def inline(markup: str, label: str) -> str:
    """Cleaned SVG for the middle of a page: scales with its box and carries a text alternative."""
    text = _TITLE.sub("", clean(markup))
    root = _ROOT.search(text)
    if root is None:
        raise ValueError("The drawing has no <svg> element.")
    opening = _REPLACED.sub("", root.group(0))
    name = escape(label, {'"': "&quot;"})
    return text[: root.start()] + f'{opening[:-1]} role="img" aria-label="{name}">' + text[root.end() :]


def svg(
    structure: str, *, theme: str = "light", size: tuple[int, int] = CARD, atoms: Sequence[int] = ()
) -> str:
    """Cleaned SVG of a structure.

    Raises:
        workers.inference.BadInput: when the structure cannot be read.
    """
    width, height = size
    data = inference.depict(
        structure, format="svg", width=width, height=height, theme=theme, atoms=tuple(atoms)
    )
    return clean(data.decode("utf-8"))


def both_themes(structure: str, label: str, atoms: Sequence[int] = ()) -> list[dict[str, str]]:
    """The large drawing once for light and once for dark pages, ready to stand inline."""
    return [
        {"theme": theme, "markup": inline(svg(structure, theme=theme, size=LARGE, atoms=atoms), label)}
        for theme in THEMES
    ]


def file(structure: str, extension: str, options: dict[str, Any]) -> tuple[bytes, str]:
    """A drawing or molfile to download: ``(content, content type)``; ``extension`` is svg, png or mol."""
    if extension == "mol":
        return inference.molfile(structure).encode(), "chemical/x-mdl-molfile; charset=utf-8"
    theme = options["theme"] if options["theme"] in THEMES else "light"
    width, height = options["size"]
    data = inference.depict(
        structure,
        format=extension,
        width=width,
        height=height,
        theme=theme,
        atoms=tuple(options["atoms"]),
        stereo=width >= LABELLED,
        ground=PAPER[theme] if extension == "png" else "",
    )
    if extension == "png":
        return data, "image/png"
    return clean(data.decode("utf-8")).encode(), "image/svg+xml"


def read_options(query: Any) -> dict[str, Any]:
    """Theme, size in pixels and atoms to light, from an address; what cannot be read is as by default."""
    return {
        "theme": query.get("theme", "light"),
        "size": (_whole(query.get("width"), CARD[0]), _whole(query.get("height"), CARD[1])),
        "atoms": [
            int(piece)
            for piece in query.get("atoms", "").split(",")[:500]
            if piece.isdecimal() and len(piece) < 6
        ],
    }


def index_of(text: str | None) -> int | None:
    """A small whole number of an address; None for anything else."""
    return int(text) if text and text.isdecimal() and len(text) < 6 else None


def _whole(text: str | None, default: int) -> int:
    value = index_of(text)
    return default if value is None else min(max(value, 40), MAX_SIDE)


def _attributes(match: re.Match[str]) -> str:
    out = []
    for piece in match.group(2).split(";"):
        name, colon, value = piece.partition(":")
        name, value = name.strip(), value.strip()
        if colon and _PRESENTATION.match(name) and value:
            out.append(f' {name}="{escape(value, {chr(34): "&quot;"})}"')
    return "".join(out)
