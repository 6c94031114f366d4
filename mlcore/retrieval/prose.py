"""Ranking molecules for a description: candidates from three channels, fused, the best re-ranked in all grains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import faiss as _faiss
import numpy as np

from mlcore.retrieval.allowed import Allowed
from mlcore.retrieval.candidates import Candidate
from mlcore.retrieval.encoding import MoleculeEncoding, RerankScores, TextEncoding, joined
from mlcore.retrieval.fusion import Calibration, Fusion
from mlcore.retrieval.shelf import Shelf

faiss: Any = _faiss  # its type stubs leave out what its Python wrappers add
#: queries times width from which on FAISS compares queries and rows in one matrix product instead of one query after
#: the other: six queries of a usual model; measured, its own default never does
faiss.cvar.distance_compute_blas_threshold = 6 * 384
#: candidates that each channel brings from each library
POOL = 160
#: candidates that are re-ranked
SHORTLIST = 64
#: tokens of the longest text
LONGEST = 160
#: share of the query's words from which on they count as a channel that matched
NOTABLE = 0.15
#: from this cosine on, a description says the same as the query in the same words
IDENTICAL = 0.99
#: up to this many descriptions, all of them are compared with the query; above, those of the other channels' candidates
_ALL_DESCRIPTIONS = 100_000


class TextModel(Protocol):
    """What searching needs of a retrieval model.

    A model may also have ``rerank_many(texts, rows, molecules)``, which scores several texts at once.
    """

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


@dataclass(frozen=True, eq=False)
class Question:
    """One description to rank ``shelves`` for, among the rows that are ``allowed`` in each."""

    text: str
    shelves: Sequence[Shelf]
    allowed: Sequence[Allowed]

    @property
    def cost(self) -> int:
        """About how many tokens the text has."""
        return min(8 + len(self.text) // 5, LONGEST)


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
    calibrated scores; see :func:`rank_many`.
    """
    return rank_many([Question(text, shelves, allowed)], [encoding], model, fusion, calibration)[0]


def rank_many(
    questions: Sequence[Question],
    encodings: Sequence[TextEncoding],
    model: TextModel,
    fusion: Fusion,
    calibration: Calibration,
) -> list[list[Candidate]]:
    """The candidates of each question (encoded as row 0 of its encoding), unordered, with calibrated scores.

    At most :data:`POOL` rows a channel and library take part; the :data:`SHORTLIST` best of all libraries
    after the first fusion are re-ranked. The others keep an estimate of that score below the worst of the
    shortlist. What many questions share is done once for all; each one's candidates are what it gets alone.
    """
    near = _nearest(questions, encodings)
    drafts = [
        _draft(question, encoding, found, fusion)
        for question, encoding, found in zip(questions, encodings, near, strict=True)
    ]
    chosen = [
        (
            number,
            place,
            shelf.library.encoding(draft.rows[draft.shortlist[draft.owner[draft.shortlist] == place]]),
        )
        for number, draft in enumerate(drafts)
        for place, shelf in enumerate(questions[number].shelves)
        if (draft.owner[draft.shortlist] == place).any()
    ]
    scores = _reranked(model, [(encodings[number], molecules) for number, _, molecules in chosen])
    for (number, place, _), found in zip(chosen, scores, strict=True):
        drafts[number].take(place, found)
    return [_finished(draft, fusion, calibration) for draft in drafts]


def _nearest(questions: Sequence[Question], encodings: Sequence[TextEncoding]) -> list[list[np.ndarray]]:
    """For each question and shelf the rows of the nearest molecules, best first."""
    found = [[np.empty(0, np.int64)] * len(question.shelves) for question in questions]
    together: dict[int, list[tuple[int, int]]] = {}
    for number, question in enumerate(questions):
        for place, (shelf, passing) in enumerate(zip(question.shelves, question.allowed, strict=True)):
            if passing.mask is None:
                together.setdefault(id(shelf), []).append((number, place))
            else:
                vector = encodings[number].sentence[:1]
                found[number][place] = shelf.library.nearest(vector, POOL, passing.mask)[1][0]
    for members in together.values():
        number, place = members[0]
        vectors = np.concatenate([encodings[number].sentence[:1] for number, _ in members])
        rows = questions[number].shelves[place].library.nearest(vectors, POOL, None)[1]
        for (number, place), own in zip(members, rows, strict=True):
            found[number][place] = own
    return found


def pool_of(
    text: str, encoding: TextEncoding, shelf: Shelf, allowed: Allowed, near: np.ndarray | None = None
) -> Pool:
    """The best rows of one library in each channel, with all channels' values; ``near`` where it is known."""
    vector, wording = encoding.sentence[0], encoding.wordings[0]
    if near is None:
        near = shelf.library.nearest(vector[None], POOL, allowed.mask)[1][0]
    chosen = [near[near >= 0]]
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


@dataclass(eq=False)
class _Draft:
    """The candidates of all libraries of one question after the first stage, all (n,) unless said otherwise."""

    pool: Pool  # of all libraries, one after the other
    owner: np.ndarray  # place of each row's library
    level: np.ndarray  # of the description channel
    first: np.ndarray  # the first fusion
    shortlist: np.ndarray  # (s,) who is re-ranked
    total: np.ndarray  # the combined score, filled in by :meth:`take`
    parts: dict[int, dict[str, float]]

    @property
    def rows(self) -> np.ndarray:
        return self.pool.rows

    def take(self, place: int, scores: RerankScores) -> None:
        """Enter the scores of those on the shortlist that belong to the library at ``place``."""
        mine = self.shortlist[self.owner[self.shortlist] == place]
        self.total[mine] = scores.total
        rounded = [
            np.round(part.astype(float), 4).tolist()
            for part in (scores.sentence, scores.phrase, scores.token)
        ]
        for i, sentence, phrase, token in zip(mine.tolist(), *rounded, strict=True):
            self.parts[i] = {"sentence": sentence, "phrase": phrase, "token": token}


def _draft(question: Question, encoding: TextEncoding, near: Sequence[np.ndarray], fusion: Fusion) -> _Draft:
    """The first stage of one question."""
    pools = [
        pool_of(question.text, encoding, shelf, passing, rows)
        for shelf, passing, rows in zip(question.shelves, question.allowed, near, strict=True)
    ]
    pool = Pool(*(np.concatenate([getattr(each, name) for each in pools]) for name in Pool.__annotations__))
    owner = np.repeat(np.arange(len(pools)), [len(each.rows) for each in pools])
    level = fusion.description_level(pool.description)
    first = fusion.fuse(fusion.sentence_level(pool.sentence), level, pool.words, pool.has_text)
    shortlist = np.lexsort((pool.rows, owner, -np.round(first, 9)))[:SHORTLIST]
    return _Draft(pool, owner, level, first, shortlist, np.zeros(len(pool.rows)), {})


def _reranked(model: TextModel, pairs: Sequence[tuple[TextEncoding, MoleculeEncoding]]) -> list[RerankScores]:
    """The scores of each text (row 0 of its encoding) against its molecules; at once where the model can."""
    many = getattr(model, "rerank_many", None)
    if many is None or len(pairs) < 2:
        return [model.rerank(text, 0, molecules) for text, molecules in pairs]
    texts = joined([text for text, _ in pairs])
    return list(many(texts, range(len(pairs)), [molecules for _, molecules in pairs]))


def _finished(draft: _Draft, fusion: Fusion, calibration: Calibration) -> list[Candidate]:
    """The candidates of one question whose shortlist has its scores."""
    pool, shortlist, total, first = draft.pool, draft.shortlist, draft.total, draft.first
    rows, has_text = pool.rows, pool.has_text
    if not len(rows):
        return []
    outside = np.ones(len(rows), bool)
    outside[shortlist] = False
    if outside.any():
        total[outside] = _estimated(pool.sentence[outside], pool.sentence[shortlist], total[shortlist])
    fused = fusion.fuse(fusion.total_level(total), draft.level, pool.words, has_text)
    if outside.any():
        fused[outside] = np.minimum(fused[outside], fused[shortlist].min())
        fused[outside] -= 1e-6 * (first.max() - first[outside])  # keep the first stage's order among equals
    same = pool.description >= IDENTICAL  # whoever pastes a description means its molecule
    fused[same] = 1.0
    scores = calibration.probability(fused, has_text)
    scores[same] = scores.max()
    both, meaning = ("meaning", "words"), ("meaning",)
    columns = (
        draft.owner,
        rows,
        scores,
        pool.words >= NOTABLE,
        np.round(pool.sentence.astype(float), 4),
        has_text,
    )
    return [
        Candidate(
            shelf=place,
            row=row,
            score=score,
            channels=both if worded else meaning,
            parts=draft.parts.get(i) or {"sentence": cosine},
            has_text=told,
        )
        for i, (place, row, score, worded, cosine, told) in enumerate(
            zip(*(part.tolist() for part in columns), strict=True)
        )
    ]


def _estimated(sentence: np.ndarray, known: np.ndarray, total: np.ndarray) -> np.ndarray:
    """The combined score that cosines ``sentence`` suggest, by the line through the ``known`` and their ``total``."""
    spread = float(np.var(known))
    slope = (
        max(0.0, float(np.mean((known - known.mean()) * (total - total.mean()))) / spread)
        if spread > 1e-9
        else 0.0
    )
    return total.mean() + slope * (sentence - known.mean())
