"""What the network reads of a batch: texts with sentences and n-grams left out, n-grams alone, molecules.

Every process draws for the whole batch and keeps its own part, so that what is left out does not depend on how many
processes there are.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mlcore.retrieval import ngrams
from mlcore.retrieval.batches import drop_sentences
from mlcore.retrieval.data import Molecules
from mlcore.retrieval.molecules import GraphBatch
from mlcore.retrieval.pairs import Pairs, hash_text
from mlcore.retrieval.presets import RetrievalTraining
from mlcore.retrieval.text import TextBatch, TextTokenizer
from mlcore.runtime import distributed


class Inputs:
    """Makes the tensors of training pairs, given by their rows."""

    def __init__(
        self,
        config: RetrievalTraining,
        pairs: Pairs,
        molecules: Molecules,
        tokenizer: TextTokenizer,
        device: str,
    ) -> None:
        self.config, self.pairs, self.molecules = config, pairs, molecules
        self.tokenizer, self.device = tokenizer, device
        self.key_numbers = np.unique(molecules.keys[pairs.molecules], return_inverse=True)[1]
        hashed = np.array([hash_text(text) for text in pairs.texts])
        self.text_numbers = np.unique(hashed, return_inverse=True)[1]
        self._grams: list[np.ndarray] = []

    def texts(self, step: int, rows: np.ndarray, own: slice) -> TextBatch:
        """The texts ``own`` of the batch ``rows``. Sentences are left out by draws over the whole batch."""
        rng = self._rng(step)
        texts = [drop_sentences(self.pairs.texts[row], self.config.sentence_dropout, rng) for row in rows]
        batch, _ = self.tokenizer(texts[own])
        return self._drop_grams(batch, rng).to(self.device)

    def _drop_grams(self, batch: TextBatch, rng: np.random.Generator) -> TextBatch:
        """Leave out n-grams at random, by draws over the n-grams of all processes."""
        counts = distributed.gathered(len(batch.grams))
        before = sum(counts[: distributed.rank()])
        draws = rng.random(sum(counts))[before : before + len(batch.grams)]
        return keep_grams(batch, torch.from_numpy(draws >= self.config.gram_dropout))

    def graphs(self, rows: np.ndarray) -> GraphBatch:
        """The molecules of pairs."""
        return GraphBatch.build(self.molecules.packed.take(self.pairs.molecules[rows]), self.device)

    def same(self, rows: np.ndarray, columns: np.ndarray) -> Tensor:
        """(rows, columns) bool: which pairs share their molecule or their text, and are no negatives of each other."""
        keys, texts = self.key_numbers, self.text_numbers
        same = (keys[rows][:, None] == keys[columns]) | (texts[rows][:, None] == texts[columns])
        return torch.from_numpy(same).to(self.device)

    def grams(self, step: int, rows: np.ndarray) -> TextBatch:
        """The n-grams of whole texts, some left out."""
        return self._drop_grams(self._bags(rows), self._rng(step)).to(self.device)

    def forget_grams(self) -> None:
        """Give back the memory of the hashed n-grams of all texts, once the lookup phase is over."""
        self._grams = []

    def _rng(self, step: int) -> np.random.Generator:
        return np.random.default_rng([self.config.seed, 3, step])

    def _bags(self, rows: np.ndarray) -> TextBatch:
        """The n-grams of whole training texts, hashed once."""
        if not self._grams:
            self._grams = [ngrams.grams(text, self.config.model.buckets) for text in self.pairs.texts]
        found = [self._grams[row] for row in rows]
        starts = np.cumsum([0, *(len(each) for each in found[:-1])])
        none = torch.zeros(len(rows), 0)
        return TextBatch(
            none.long(), none.bool(), torch.from_numpy(np.concatenate(found)), torch.from_numpy(starts)
        )


def keep_grams(batch: TextBatch, kept: Tensor) -> TextBatch:
    """``batch`` with the n-grams that ``kept`` (all grams,) bool marks."""
    before = torch.cat([kept.new_zeros(1, dtype=torch.int64), kept.cumsum(0)])
    return TextBatch(batch.pieces, batch.mask, batch.grams[kept], before[batch.gram_starts])
