"""What retrieval is trained on: texts with their molecules, and a slice of them held out for tuning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlcore.retrieval.data import Molecules, Row, tuning_slice
from mlcore.retrieval.presets import RetrievalTraining
from mlcore.runtime.errors import InputError


@dataclass(frozen=True)
class Pairs:
    """Texts and the molecule each describes."""

    texts: list[str]
    molecules: np.ndarray  # (n,) rows of ``Molecules``

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: np.ndarray) -> Pairs:
        return Pairs([self.texts[row] for row in rows], self.molecules[rows])


def make_pairs(rows: Sequence[Row], molecules: Molecules, config: RetrievalTraining) -> tuple[Pairs, Pairs]:
    """Training pairs and the tuning slice, which shares no skeleton with them."""
    usable = [row for row in rows if row.description.strip() and row.smiles in molecules.numbers]
    if len(usable) < 32:
        raise InputError(
            f"Only {len(usable)} of {len(rows)} rows can be trained on.",
            remedy="A training table needs a description and a valid SMILES in at least 32 rows.",
        )
    pairs = Pairs(
        [row.description for row in usable], np.array([molecules.numbers[row.smiles] for row in usable])
    )
    held = tuning_slice(molecules.keys[pairs.molecules], config.tuning_share, config.tuning_seed)
    rng = np.random.default_rng([config.tuning_seed, 1])
    described = np.array([not is_name(text) for text in pairs.texts])
    tuning = pairs.take(np.flatnonzero(held & described))
    train = rng.permutation(np.flatnonzero(~held))
    if config.limit:
        train = train[described[train]][: config.limit]
    train_pairs = pairs.take(np.sort(train))
    if config.shuffle_pairs:
        train_pairs = Pairs(train_pairs.texts, rng.permutation(train_pairs.molecules))
        tuning = Pairs(tuning.texts, rng.permutation(tuning.molecules))
    return train_pairs, tuning


def is_name(text: str) -> bool:
    """Whether a text is a bare name rather than a sentence."""
    return not text.rstrip().endswith(".") and ". " not in text


def hash_text(text: str) -> str:
    """A text without case and outer space: two pairs with equal ones are not each other's negatives."""
    return " ".join(text.lower().split())
