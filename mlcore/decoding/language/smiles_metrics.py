"""Predicted SMILES beside the true ones: validity, exact match, BLEU, Levenshtein, three Tanimoto similarities.

The figures of MolT5 (Edwards et al. 2022): validity, exact match, BLEU-4 over the characters of the corpus and the
Levenshtein distance (mean, in characters) are over all pairs; the similarities are means over the pairs whose
prediction is valid, **which a model that dares little can raise**: read them beside the validity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rapidfuzz.distance import Levenshtein

from mlcore.decoding.language.molecule_pairs import Comparison, compare
from mlcore.decoding.language.text_metrics import corpus_bleu, ngram_counts
from mlcore.retrieval.pool import Failure, WorkerPool

_CHUNK = 64
_DEAD = Comparison(valid=False, known=True, exact=False, canonical=False)
_SIMILARITIES = ("maccs", "rdk", "morgan")


@dataclass(frozen=True)
class SmilesScores:
    """What each of n pairs of SMILES adds to the figures."""

    counts: np.ndarray  # (n, 10) of characters, see `text_metrics.ngram_counts`
    distance: np.ndarray  # (n,) Levenshtein, characters
    valid: np.ndarray  # (n,) 0 or 1
    exact: np.ndarray  # (n,) 0 or 1: the same molecule
    compared: np.ndarray  # (n,) 0 or 1: RDKit reads both, so that there are similarities
    similarities: dict[str, np.ndarray]  # maccs, rdk, morgan -> (n,), 0 where not compared
    canonical: np.ndarray  # (n,) 0 or 1: equal canonical SMILES
    string: np.ndarray  # (n,) 0 or 1: equal strings
    failed: int  # pairs at which RDKit died or took too long: they count as not valid

    def figures(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """The figures of samples in which pair i occurs ``weights[b, i]`` times: (b, n) -> each (b,).

        A similarity is 0 where no pair of the sample was compared.
        """
        total, compared = weights.sum(1), weights @ self.compared
        return {
            "validity": weights @ self.valid / total,
            "exact": weights @ self.exact / total,
            "bleu": corpus_bleu(weights @ self.counts),
            "levenshtein": weights @ self.distance / total,
        } | {name: weights @ values / np.maximum(compared, 1.0) for name, values in self.similarities.items()}

    def details(self) -> dict[str, float]:
        """Further ways to say *exact*, and how many pairs the similarities are over."""
        return {
            "exact_string": float(self.string.mean()),
            "exact_canonical": float(self.canonical.mean()),
            "compared": int(self.compared.sum()),
            "failed": self.failed,
        }


def score_smiles(predicted: Sequence[str], true: Sequence[str], processes: int = 2) -> SmilesScores:
    """Score n predictions against n truths; RDKit works in ``processes`` killable children.

    Raises ``ValueError`` where their numbers differ or are 0.
    """
    if len(predicted) != len(true) or not true:
        raise ValueError(f"{len(predicted)} predictions for {len(true)} molecules")
    pairs = list(zip(predicted, true, strict=True))
    answers = _compared(pairs, processes)
    found = [_DEAD if isinstance(answer, Failure) else answer for answer in answers]

    def column(values: list) -> np.ndarray:
        return np.array(values, dtype=float)

    return SmilesScores(
        counts=np.stack([ngram_counts(mine, truth) for mine, truth in pairs]),
        distance=column([Levenshtein.distance(mine, truth) for mine, truth in pairs]),
        valid=column([each.valid for each in found]),
        exact=column([each.exact for each in found]),
        compared=column([each.valid and each.known for each in found]),
        similarities={name: column([getattr(each, name) for each in found]) for name in _SIMILARITIES},
        canonical=column([each.canonical for each in found]),
        string=column([mine == truth for mine, truth in pairs]),
        failed=sum(isinstance(answer, Failure) for answer in answers),
    )


def _compared(pairs: Sequence[tuple[str, str]], processes: int) -> list[Comparison | Failure]:
    """One answer a pair."""
    chunks = ((first, pairs[first : first + _CHUNK]) for first in range(0, len(pairs), _CHUNK))
    with WorkerPool(compare, workers=processes) as pool:
        return [answer for _, answers in pool.map(chunks, ahead=2 * processes) for answer in answers]
