"""Ranking molecules for a description: candidates from three channels, fused, the best re-ranked in all grains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from mlcore.retrieval.allowed import Allowed
from mlcore.retrieval.candidates import Candidate
from mlcore.retrieval.encoding import MoleculeEncoding, RerankScores, TextEncoding
from mlcore.retrieval.fusion import Calibration, Fusion
from mlcore.retrieval.shelf import Shelf

#: candidates that each channel brings from each library
POOL = 160
#: candidates that are re-ranked
SHORTLIST = 64
#: share of the query's words from which on they count as a channel that matched
NOTABLE = 0.15
#: from this cosine on, a description says the same as the query in the same words
IDENTICAL = 0.99
#: up to this many descriptions, all of them are compared with the query; above, those of the other channels' candidates
_ALL_DESCRIPTIONS = 100_000


class TextModel(Protocol):
    """What searching needs of a retrieval model."""

    fingerprint: str

    def encode_texts(self, texts: Sequence[str]) -> TextEncoding:
        """Encode a batch of texts."""

    def encode_molecules(self, molecules: Sequence[Any]) -> MoleculeEncoding:
        """Encode a batch of RDKit molecules."""

    def rerank(self, text: TextEncoding, row: int, molecules: MoleculeEncoding) -> RerankScores:
        """Score text ``row`` against molecules in all grains."""


@dataclass(eq=False)
class Pool:
    """The candidates of one library and their channels, all (n,)."""

    rows: np.ndarray
    sentence: np.ndarray
    description: np.ndarray
    words: np.ndarray
    has_text: np.ndarray


def rank_prose(
    text: str,
    encoding: TextEncoding,
    model: TextModel,
    shelves: Sequence[Shelf],
    allowed: Sequence[Allowed],
    fusion: Fusion,
    calibration: Calibration,
) -> list[Candidate]:
    """The candidates of all ``shelves`` for ``text`` (encoded as row 0 of ``encoding``), unordered, with
    calibrated scores.

    At most :data:`POOL` rows a channel and library take part; the :data:`SHORTLIST` best of all libraries
    after the first fusion are re-ranked. The others keep an estimate of that score below the worst of the
    shortlist.
    """
    pools = [pool_of(text, encoding, shelf, passing) for shelf, passing in zip(shelves, allowed, strict=True)]
    sizes = [len(pool.rows) for pool in pools]
    if not sum(sizes):
        return []
    owner = np.repeat(np.arange(len(pools)), sizes)
    rows = np.concatenate([pool.rows for pool in pools])
    sentence = np.concatenate([pool.sentence for pool in pools])
    description = np.concatenate([pool.description for pool in pools])
    words = np.concatenate([pool.words for pool in pools])
    has_text = np.concatenate([pool.has_text for pool in pools])
    level = fusion.description_level(description)
    first = fusion.fuse(fusion.sentence_level(sentence), level, words, has_text)
    shortlist = np.lexsort((rows, owner, -np.round(first, 9)))[:SHORTLIST]
    total, parts = _reranked(encoding, model, shelves, owner, rows, sentence, shortlist)
    fused = fusion.fuse(fusion.total_level(total), level, words, has_text)
    outside = np.ones(len(rows), bool)
    outside[shortlist] = False
    if outside.any():
        fused[outside] = np.minimum(fused[outside], fused[shortlist].min())
        fused[outside] -= 1e-6 * (first.max() - first[outside])  # keep the first stage's order among equals
    fused[description >= IDENTICAL] = 1.0  # whoever pastes a description means its molecule
    scores = calibration.probability(fused, has_text)
    scores[description >= IDENTICAL] = scores.max()
    both, meaning = ("meaning", "words"), ("meaning",)
    return [
        Candidate(
            shelf=place,
            row=row,
            score=score,
            channels=both if share >= NOTABLE else meaning,
            parts=parts.get(i) or {"sentence": round(cosine, 4)},
            has_text=told,
        )
        for i, (place, row, score, share, cosine, told) in enumerate(
            zip(
                *(part.tolist() for part in (owner, rows, scores, words, sentence, has_text)),
                strict=True,
            )
        )
    ]


def pool_of(text: str, encoding: TextEncoding, shelf: Shelf, allowed: Allowed) -> Pool:
    """The best rows of one library in each channel, with all channels' values."""
    vector, wording = encoding.sentence[0], encoding.wordings[0]
    _, near = shelf.library.nearest(vector[None], POOL, allowed.mask)
    chosen = [near[0][near[0] >= 0]]
    words = shelf.lexical.scores(text)
    blocked = None if allowed.mask is None else ~allowed.mask
    ranked = words if blocked is None else np.where(blocked, 0.0, words)
    chosen.append(_best(ranked, POOL, above=0.0))
    if 0 < len(shelf.wordings) <= _ALL_DESCRIPTIONS:
        chosen.append(shelf.wordings.nearest(wording, POOL, allowed.mask))
    rows = np.unique(np.concatenate(chosen)).astype(np.int64)
    description = shelf.wordings.cosines(wording, rows)
    return Pool(
        rows=rows,
        sentence=shelf.library.vectors(rows) @ vector if len(rows) else np.empty(0, np.float32),
        description=description,
        words=words[rows],
        has_text=shelf.wordings.has_text(rows),
    )


def _best(values: np.ndarray, most: int, *, above: float) -> np.ndarray:
    """The places of the ``most`` largest of ``values`` that are above ``above``; equal ones by place."""
    places = np.flatnonzero(values > above)
    if len(places) <= most:
        return places
    part = np.partition(values[places], len(places) - most)[len(places) - most]
    sure = places[values[places] > part]
    ties = places[values[places] == part]
    return np.concatenate([sure, ties[: most - len(sure)]])


def _reranked(
    encoding: TextEncoding,
    model: TextModel,
    shelves: Sequence[Shelf],
    owner: np.ndarray,
    rows: np.ndarray,
    sentence: np.ndarray,
    shortlist: np.ndarray,
) -> tuple[np.ndarray, dict[int, dict[str, float]]]:
    """The combined score of every candidate (exact on the shortlist, estimated elsewhere) and the grains' parts."""
    total = np.zeros(len(rows))
    parts: dict[int, dict[str, float]] = {}
    for place, shelf in enumerate(shelves):
        mine = shortlist[owner[shortlist] == place]
        if not len(mine):
            continue
        scores = model.rerank(encoding, 0, shelf.library.encoding(rows[mine]))
        total[mine] = scores.total
        for i, s, p, t in zip(mine, scores.sentence, scores.phrase, scores.token, strict=True):
            parts[int(i)] = {
                "sentence": round(float(s), 4),
                "phrase": round(float(p), 4),
                "token": round(float(t), 4),
            }
    others = np.setdiff1d(np.arange(len(rows)), shortlist)
    if len(others):
        x, y = sentence[shortlist], total[shortlist]
        spread = float(np.var(x))
        slope = max(0.0, float(np.mean((x - x.mean()) * (y - y.mean()))) / spread) if spread > 1e-9 else 0.0
        total[others] = y.mean() + slope * (sentence[others] - x.mean())
    return total, parts
