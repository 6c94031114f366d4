"""The matrix of a plan as a small picture: one pixel a cell, in the accent colour, clear where nothing goes."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence

#: the accent of either theme, as in frontend/static/css/tokens.css
ACCENT = {"light": (0x0B, 0x6B, 0x6B), "dark": (0x6F, 0xD0, 0xC4)}
SHADES = 255


def pictures(cells: Sequence[Sequence[float]]) -> dict[str, str]:
    """``cells`` as PNG in a data address, for each theme. The shade goes with the root, so that faint cells show."""
    largest = max((value for row in cells for value in row), default=0.0)
    scale = SHADES / largest**0.5 if largest > 0 else 0.0
    pixels = b"".join(
        b"\0" + bytes(min(SHADES, round(scale * max(value, 0.0) ** 0.5)) for value in row) for row in cells
    )
    size = struct.pack(">II", len(cells[0]), len(cells))
    return {theme: _address(size, pixels, colour) for theme, colour in ACCENT.items()}


def _address(size: bytes, pixels: bytes, colour: tuple[int, int, int]) -> str:
    palette = bytes(colour) * (SHADES + 1)
    clear = bytes(range(SHADES + 1))
    parts = [
        _chunk(b"IHDR", size + bytes((8, 3, 0, 0, 0))),
        _chunk(b"PLTE", palette),
        _chunk(b"tRNS", clear),
        _chunk(b"IDAT", zlib.compress(pixels, 6)),
        _chunk(b"IEND", b""),
    ]
    content = b"\x89PNG\r\n\x1a\n" + b"".join(parts)
    return f"data:image/png;base64,{base64.b64encode(content).decode('ascii')}"


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
