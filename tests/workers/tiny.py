"""A model without weights: vectors drawn from the SMILES itself, so that the same molecule always gets the same."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from mlcore.retrieval.encoding import MoleculeEncoding, TextEncoding


class TinyModel:
    """Encodes with ``pause`` seconds a molecule, for tests that have to catch an import half-way."""

    dim, fine = 16, 8
    fingerprint = "a" * 64

    def __init__(self, pause: float = 0.0) -> None:
        self.pause = pause

    def encode_molecules(self, molecules: Sequence[Any]) -> MoleculeEncoding:
        """One motif for each molecule, one vector for each heavy atom."""
        from rdkit import Chem

        time.sleep(self.pause * len(molecules))
        counts = np.array([mol.GetNumAtoms() for mol in molecules])
        vectors = np.stack([draw(Chem.MolToSmiles(mol), self.dim) for mol in molecules])
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return MoleculeEncoding(
            vectors=vectors,
            motifs=vectors[:, : self.fine].copy(),
            motif_offsets=np.arange(len(molecules) + 1, dtype=np.int64),
            atoms=np.repeat(vectors[:, : self.fine], counts, axis=0),
            atom_offsets=offsets,
        )

    def encode_texts(self, texts: Sequence[str]) -> TextEncoding:
        """One token a text."""
        vectors = np.stack([draw(text, self.dim) for text in texts])
        fine = vectors[:, None, : self.fine].copy()
        mask = np.ones((len(texts), 1), bool)
        return TextEncoding(vectors, fine, fine.copy(), mask, [[(0, len(text))] for text in texts])


def draw(text: str, width: int) -> np.ndarray:
    """A unit vector that depends on ``text`` alone."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
    vector = np.random.default_rng(seed).normal(size=width).astype(np.float32)
    return vector / np.linalg.norm(vector)
