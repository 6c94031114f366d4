"""How well a molecule fits a text, by the retrieval model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from rdkit import Chem

from mlcore.decoding.rewards.base import MoleculeReward
from mlcore.runtime.errors import InputError

if TYPE_CHECKING:
    from mlcore.retrieval.model import RetrievalModel

#: characters that a text may have
LONGEST_TEXT = 10_000


class TextMatch(MoleculeReward):
    """(1 + s) / 2 of the multi-grained score s of a text and a molecule.

    s is the model's combined score divided by the sum of its weights, so a weighted mean of the cosines of the
    sentence, phrase and token grain, in [-1, 1]. Every pair is scored from its own two members alone. The text is
    encoded once, when the reward is made; molecules are encoded and scored in batches.

    Raises :class:`InputError` when made, for a text that is empty or longer than :data:`LONGEST_TEXT`.
    """

    name = "retrieval"

    def __init__(self, text: str, model: RetrievalModel) -> None:
        text = text.strip()
        if not text:
            raise InputError("There is no text to match.", field="text", remedy="Describe a molecule.")
        if len(text) > LONGEST_TEXT:
            raise InputError(
                f"The text to match has {len(text):,} characters; {LONGEST_TEXT:,} is the limit.",
                field="text",
                remedy="Shorten it.",
            )
        self.text = text
        self._model = model
        self._encoding = model.encode_texts([text])
        self._scale = float(model.network.log_weights.detach().exp().sum())

    def __repr__(self) -> str:
        return f"TextMatch(text={self.text!r}, model={self._model.fingerprint[:12]!r})"

    def values(self, molecules: Sequence[Chem.Mol]) -> list[float]:
        features = {}
        for number, mol in enumerate(molecules):
            try:
                features[number] = self._model.featurise(mol)
            except (RuntimeError, ValueError, ArithmeticError, LookupError):
                continue
        found = [math.nan] * len(molecules)
        if features:
            drawn = self._model.encode_features(list(features.values()))
            total = self._model.rerank(self._encoding, 0, drawn).total.astype(np.float64)
            scores = np.clip((1 + total / self._scale) / 2, 0, 1)
            for number, score in zip(features, scores.tolist(), strict=True):
                found[number] = score
        return found
