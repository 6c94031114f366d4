"""What the two encoders hand over: batches of texts and ragged batches of molecules, as NumPy arrays.

Token, phrase and motif rows are weighted points: a row's direction is its vector, its length its share of the mass
(the lengths of one text's or one molecule's rows sum to one). Transport reads both from the one array.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class TextEncoding:
    """A batch of ``n`` encoded texts."""

    sentence: np.ndarray  # (n, dim) float32, unit length
    tokens: np.ndarray  # (n, tokens, fine) float32, length = share: matched with atoms
    phrases: np.ndarray  # (n, tokens, fine) float32, length = share: matched with motifs
    mask: np.ndarray  # (n, tokens) bool, True = real
    spans: list[list[tuple[int, int]]]  # the characters that each real token covers
    #: (n, width) float32, unit length: what a text says, to be compared with other texts; None: as ``sentence``
    wording: np.ndarray | None = None

    @property
    def wordings(self) -> np.ndarray:
        """The vectors by which texts are compared with texts, (n, width) float32."""
        return self.sentence if self.wording is None else self.wording

    def alone(self, row: int) -> TextEncoding:
        """Text ``row`` as a batch of one, without padding; a copy that does not keep the others in memory."""
        size = int(self.mask[row].sum())
        chosen = slice(row, row + 1)
        return TextEncoding(
            sentence=self.sentence[chosen].copy(),
            tokens=self.tokens[chosen, :size].copy(),
            phrases=self.phrases[chosen, :size].copy(),
            mask=np.ones((1, size), bool),
            spans=[self.spans[row]],
            wording=None if self.wording is None else self.wording[chosen].copy(),
        )


def joined(parts: Sequence[TextEncoding]) -> TextEncoding:
    """Encodings one after the other, padded to the longest; at least one."""
    longest = max(part.mask.shape[1] for part in parts)

    def padded(name: str) -> np.ndarray:
        arrays = [getattr(part, name) for part in parts]
        out = np.zeros((sum(map(len, arrays)), longest, *arrays[0].shape[2:]), arrays[0].dtype)
        start = 0
        for array in arrays:
            out[start : start + len(array), : array.shape[1]] = array
            start += len(array)
        return out

    return TextEncoding(
        sentence=np.concatenate([part.sentence for part in parts]),
        tokens=padded("tokens"),
        phrases=padded("phrases"),
        mask=padded("mask"),
        spans=[span for part in parts for span in part.spans],
        wording=np.concatenate([part.wordings for part in parts]),
    )


@dataclass(frozen=True)
class MoleculeEncoding:
    """A batch of ``n`` encoded molecules; motif and atom rows of all of them one after the other."""

    vectors: np.ndarray  # (n, dim) float32, unit length
    motifs: np.ndarray  # (all motifs, fine) float32, length = share
    motif_offsets: np.ndarray  # (n + 1,) int64
    atoms: np.ndarray  # (all heavy atoms, fine) float32, unit length, in RDKit's atom order
    atom_offsets: np.ndarray  # (n + 1,) int64

    def __len__(self) -> int:
        return len(self.vectors)


@dataclass(frozen=True)
class RerankScores:
    """The multi-grained score of one text against ``n`` molecules, and its parts (higher is better)."""

    total: np.ndarray  # (n,) float32
    sentence: np.ndarray  # (n,) sentence-molecule
    phrase: np.ndarray  # (n,) multitoken-motif, after transport
    token: np.ndarray  # (n,) token-atom


def directions(weighted: np.ndarray) -> np.ndarray:
    """Weighted points (..., fine) without their weights: every row to unit length, zero rows as they are."""
    lengths = np.linalg.norm(weighted, axis=-1, keepdims=True)
    return weighted / np.maximum(lengths, 1e-12)
