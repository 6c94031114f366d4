"""Predicted descriptions beside the true ones: BLEU-2, BLEU-4, ROUGE-1, ROUGE-2, ROUGE-L, METEOR.

MolT5 (Edwards et al. 2022) cuts texts for BLEU and METEOR into SciBERT's uncased word pieces and lets METEOR match
WordNet's synonyms. Neither is shipped here. Words are cut as BERT cuts them before its word pieces (lower case, accents
off, every punctuation mark alone), and METEOR matches equal words and equal Porter stems only, so BLEU and METEOR are
**not** identical to published ones. ROUGE is: its own tokeniser (runs of a-z and 0-9), no stemming, mean of the F
measures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from nltk.stem.api import StemmerI
from nltk.stem.porter import PorterStemmer
from nltk.translate.bleu_score import modified_precision
from nltk.translate.meteor_score import single_meteor_score
from rouge_score.rouge_scorer import RougeScorer
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

TOKENISATION = (
    "BLEU and METEOR: BERT's lower-cased words and punctuation marks, without SciBERT's word pieces; METEOR: exact and "
    "Porter-stem matches, without WordNet; ROUGE: rouge-score's own, without stemming. BLEU and METEOR are not "
    "identical to published ones."
)
_ORDERS = 4
_ROUGE = ("rouge1", "rouge2", "rougeL")
_NORMALISE = BertNormalizer(lowercase=True)
_CUT = BertPreTokenizer()
_PORTER = PorterStemmer()


@lru_cache(maxsize=1 << 16)
def _stem(word: str) -> str:
    """Porter's stem; a string of more than 100 letters is no word and stays."""
    return str(_PORTER.stem(word)) if len(word) <= 100 else word


class _Stemmer(StemmerI):
    """Porter's stemmer, which remembers: the words of descriptions are few."""

    def stem(self, token: str) -> str:
        return _stem(token)


class _NoSynonyms:
    """A WordNet without entries: METEOR's third stage finds nothing."""

    def synsets(self, word: str) -> list:
        return []


def words(text: str) -> list[str]:
    """Lower-cased words and single punctuation marks, accents removed."""
    return [token for token, _ in _CUT.pre_tokenize_str(_NORMALISE.normalize_str(text))]


def ngram_counts(predicted: Sequence[str], true: Sequence[str]) -> np.ndarray:
    """What a pair adds to corpus BLEU: (10,) clipped n-gram matches and n-grams for n = 1 … 4, both lengths.

    A prediction shorter than n adds 1 to the n-grams, as in nltk's ``corpus_bleu``: even a perfect one costs BLEU then.
    """
    shares = [modified_precision([true], predicted, n) for n in range(1, _ORDERS + 1)]
    return np.array(
        [share.numerator for share in shares]
        + [share.denominator for share in shares]
        + [len(predicted), len(true)],
        dtype=float,
    )


def corpus_bleu(sums: np.ndarray, order: int = _ORDERS) -> np.ndarray:
    """BLEU (Papineni et al. 2002, equal weights, unsmoothed) from summed :func:`ngram_counts`: (…, 10) -> (…,).

    ``exp(min(0, 1 - r/c)) (p_1 … p_order)^(1/order)``; 0 where one of the precisions is.
    """
    matches, ngrams = sums[..., :order], sums[..., _ORDERS : _ORDERS + order]
    mine, true = sums[..., 2 * _ORDERS], sums[..., 2 * _ORDERS + 1]
    with np.errstate(divide="ignore"):
        precision = np.log(matches / ngrams).mean(-1)
    brevity = np.minimum(0.0, 1.0 - true / np.maximum(mine, 1.0))
    return np.exp(precision + brevity)


def meteor(predicted: Sequence[str], true: Sequence[str]) -> float:
    """METEOR (Lavie and Agarwal 2007; α 0.9, β 3, γ 0.5) with its exact and stem stages.

    The fragmentation penalty stays for equal texts: m equal words score ``1 - 0.5 / m³``.
    """
    return single_meteor_score(true, predicted, stemmer=_Stemmer(), wordnet=_NoSynonyms())


@dataclass(frozen=True)
class TextScores:
    """What each of n pairs of texts adds to the figures."""

    counts: np.ndarray  # (n, 10) see `ngram_counts`
    means: dict[str, np.ndarray]  # rouge1, rouge2, rougeL, meteor -> (n,) in [0, 1]

    def figures(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """The figures of samples in which pair i occurs ``weights[b, i]`` times: (b, n) -> each (b,)."""
        sums, total = weights @ self.counts, weights.sum(1)
        return {"bleu2": corpus_bleu(sums, 2), "bleu4": corpus_bleu(sums, 4)} | {
            name: weights @ values / total for name, values in self.means.items()
        }


def score_texts(predicted: Sequence[str], true: Sequence[str]) -> TextScores:
    """Score n predictions against n truths. Raises ``ValueError`` where their numbers differ or are 0."""
    if len(predicted) != len(true) or not true:
        raise ValueError(f"{len(predicted)} predictions for {len(true)} texts")
    rouge = RougeScorer(list(_ROUGE))
    counts = np.zeros((len(true), 2 * _ORDERS + 2))
    means = {name: np.zeros(len(true)) for name in (*_ROUGE, "meteor")}
    for row, (mine, truth) in enumerate(zip(predicted, true, strict=True)):
        cut, cut_truth = words(mine), words(truth)
        counts[row] = ngram_counts(cut, cut_truth)
        means["meteor"][row] = meteor(cut, cut_truth)
        for name, score in rouge.score(truth, mine).items():
            means[name][row] = score.fmeasure
    return TextScores(counts, means)
