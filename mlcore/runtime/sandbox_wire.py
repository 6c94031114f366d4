"""How a sandbox and its children talk: one JSON header and one block of raw bytes a message, length first."""

from __future__ import annotations

import json
import struct
from typing import Any

PREFIX = struct.Struct("<II")
#: the largest message either side accepts, in bytes
LARGEST = 256 * 1024 * 1024


def pack(header: Any, blob: bytes = b"") -> bytes:
    """One message: sizes, header as JSON, then ``blob`` as it is."""
    text = json.dumps(header, separators=(",", ":")).encode()
    return PREFIX.pack(len(text), len(blob)) + text + blob


def sizes(prefix: bytes) -> tuple[int, int]:
    """The sizes of header and blob; raises :class:`ValueError` when they cannot be right."""
    header, blob = PREFIX.unpack(prefix)
    if header + blob > LARGEST:
        raise ValueError("the message is larger than the sandbox allows")
    return header, blob


def unpack(body: bytes, header: int) -> tuple[Any, bytes]:
    """Header and blob of a message whose header takes the first ``header`` bytes of ``body``."""
    return json.loads(body[:header]), body[header:]
