"""Hashed n-grams of a text: the part of the text encoder that remembers names, locants and labels exactly.

Word n-grams (up to three) and character n-grams of long words, hashed into a table and weighted by inverse document
frequency; the counterpart of the molecule encoder's fingerprints.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

_PIECE = re.compile(r"[^\W\d_]+|\d+|[^\w\s]")
#: the most grams taken from one text; a very long text keeps its first ones
LIMIT = 4096


def grams(text: str, buckets: int) -> np.ndarray:
    """Distinct buckets (ascending, int64) of the n-grams of ``text``."""
    words = _PIECE.findall(unicodedata.normalize("NFKC", text).lower())[: LIMIT // 3]
    found = [f"1{word}" for word in words]
    found += [f"2{a} {b}" for a, b in pairwise(words)]
    found += [f"3{a} {b} {c}" for a, b, c in zip(words, words[1:], words[2:], strict=False)]
    for word in words:
        if len(word) > 5:
            edged = f"<{word}>"
            found += [edged[i : i + size] for size in (4, 5) for i in range(len(edged) - size + 1)]
    hashed = {zlib.crc32(gram.encode()) % buckets for gram in found[:LIMIT]}
    return np.fromiter(sorted(hashed), dtype=np.int64, count=len(hashed))


def document_weights(texts: Iterable[str], buckets: int) -> np.ndarray:
    """Inverse document frequency of every bucket over ``texts``: (buckets,) float32."""
    seen = np.zeros(buckets)
    total = 0
    for text in texts:
        seen[grams(text, buckets)] += 1
        total += 1
    return (np.log((total + 1) / (seen + 1)) + 0.2).astype(np.float32)


def bags(texts: Sequence[str], buckets: int) -> tuple[np.ndarray, np.ndarray]:
    """Buckets of all texts one after the other and where each begins (both int64)."""
    found = [grams(text, buckets) for text in texts]
    starts = np.cumsum([0, *(len(each) for each in found[:-1])]).astype(np.int64)
    return (np.concatenate(found) if found else np.zeros(0, dtype=np.int64)), starts
