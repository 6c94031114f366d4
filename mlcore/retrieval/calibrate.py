"""Fitting the constants of :class:`~mlcore.retrieval.fusion.Fusion` and its calibration to queries with known answers.

Three kinds of query, none of which the model was trained on or is reported on:

* *chemical*: descriptions of the tuning slice (molecules whose skeletons the training never saw), in a pool of
  molecules without texts;
* *catalogue*: those of them whose molecule is in the library too, in the library, where texts compete;
* *lay*: people's words for molecules of the library, written for this purpose (``mlcore/retrieval/tuning``), beside
  some for what no library of molecules holds.

The steps differ in whether the answers are in the pool:

* the levels of the meaning channel are the probabilities that its best hit is right, with the answers in and taken out;
* the weights and the description's level maximise the mean reciprocal rank with the answers in; among equals they tell
  best what is there from what is not;
* two logistic calibrations say how probable it is that the best hit is right, fitted with the answers in: ``a``, ``b``
  on *chemical* for molecules without a text, ``text_a``, ``text_b`` on *catalogue* and *lay* for those with one (only
  where all best hits are right, or none is, are the queries without their answers added);
* presence, whether the answer is there at all, is fitted for the same two groups with the answers in and taken out; the
  second also on what no library holds.

Without *catalogue* and *lay*, *chemical* stands in for them.
"""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mlcore.retrieval.allowed import Allowed
from mlcore.retrieval.data import Row, tuning_slice
from mlcore.retrieval.evaluate import encode_rows, take
from mlcore.retrieval.fusion import Calibration, Fusion, fit_calibration
from mlcore.retrieval.library import Library
from mlcore.retrieval.model import RetrievalModel
from mlcore.retrieval.presence import Presence, fit_presence
from mlcore.retrieval.prose import IDENTICAL, SHORTLIST, pool_of
from mlcore.retrieval.shelf import Shelf
from mlcore.runtime.errors import InputError
from mlcore.runtime.progress import Progress

#: share and seed of the slice that training holds out (see the presets)
SHARE, SEED = 0.03, 0
_BATCH = 64
#: what the search for the weights tries; the meaning channel weighs 1
_DESCRIPTION = (0.25, 0.5, 1.0, 2.0, 4.0)
_WORDS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
_CENTRES = (0.5, 0.6, 0.7, 0.8, 0.9)
_SCALES = (0.04, 0.07, 0.1, 0.15)
#: constants whose mean reciprocal ranks differ by less are chosen between by how well they know what is not there
_EQUAL = 0.015


@dataclass(frozen=True, eq=False)
class Asked:
    """One query against its candidates, all (n,): the channels' values, and which candidates are right."""

    sentence: np.ndarray
    total: np.ndarray
    description: np.ndarray  # -inf without a text
    words: np.ndarray
    right: np.ndarray

    def fused(self, fusion: Fusion) -> np.ndarray:
        """The fused value of every candidate, as :func:`mlcore.retrieval.prose.rank_prose` makes it."""
        meaning = fusion.total_level(self.total)
        level = fusion.description_level(self.description)
        found = fusion.fuse(meaning, level, self.words, np.isfinite(self.description))
        return np.where(self.description >= IDENTICAL, 1.0, found)

    def probability(self, fusion: Fusion, calibration: Calibration) -> np.ndarray:
        """The calibrated score of every candidate."""
        return calibration.probability(self.fused(fusion), np.isfinite(self.description))

    def verdict(self, fusion: Fusion, calibration: Calibration) -> str:
        """What a search would say of the answer's being there."""
        return calibration.verdict(self.probability(fusion, calibration), np.isfinite(self.description))

    def presence(self, fusion: Fusion, calibration: Calibration) -> float:
        """The probability that the answer is there at all."""
        scores = self.probability(fusion, calibration)
        has_text = bool(np.isfinite(self.description[scores.argmax()]))
        return (calibration.text_presence if has_text else calibration.presence).probability(scores)

    def without_answer(self) -> Asked:
        """The same query where the right molecules are not in the pool."""
        parts = (self.sentence, self.total, self.description, self.words, self.right)
        return Asked(*(part[~self.right] for part in parts))

    def reciprocal_rank(self, fusion: Fusion) -> float:
        """1 / rank of the best right candidate; 0 when there is none."""
        if not self.right.any():
            return 0.0
        values = self.fused(fusion)
        return 1.0 / int((values >= values[self.right].max()).sum())


def read_lay(path: Path) -> list[tuple[str, frozenset[str]]]:
    """Queries and the names that answer each, from a table with ``query`` and ``accepted`` (names with | between).

    Without the column ``accepted`` nothing answers them.

    Raises :class:`InputError` when the file is no such table.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    except OSError as fault:
        raise InputError(f"{path} cannot be read: {fault}.", field="--lay") from fault
    if not rows or "query" not in rows[0]:
        raise InputError(f"{path.name} has no column 'query'.", field="--lay")
    return [(row["query"], frozenset(filter(None, (row.get("accepted") or "").split("|")))) for row in rows]


def ask_library(
    model: RetrievalModel,
    shelf: Shelf,
    queries: Sequence[tuple[str, frozenset[int]]],
    progress: Progress,
) -> list[Asked]:
    """Each query (text, right rows) against the candidates that its channels bring from a library."""
    everything = Allowed(None)
    found = []
    for number, (text, rows) in enumerate(queries, 1):
        encoding = model.encode_texts([" ".join(text.split())])
        pool = pool_of(text, encoding, shelf, everything)
        total = model.rerank(encoding, 0, shelf.library.encoding(pool.rows)).total
        right = np.isin(pool.rows, list(rows))
        found.append(Asked(pool.sentence, total, pool.description, pool.words, right))
        progress.update(number, len(queries))
    return found


def ask_pool(
    model: RetrievalModel, queries: Sequence[Row], candidates: Sequence[Row], progress: Progress
) -> list[Asked]:
    """Each description against the :data:`SHORTLIST` molecules nearest to it; the molecules have no texts."""
    drawn, refused = encode_rows(model, candidates, progress)
    places = {row.id: place for place, row in enumerate(candidates)}
    found = []
    for start in range(0, len(queries), _BATCH):
        part = queries[start : start + _BATCH]
        encoding = model.encode_texts([row.description for row in part])
        cosines = encoding.sentence @ drawn.vectors.T
        cosines[:, refused] = -1.0
        for number, row in enumerate(part):
            near = np.argsort(-cosines[number], kind="stable")[:SHORTLIST]
            total = model.rerank(encoding, number, take(drawn, near)).total
            none = np.full(len(near), -np.inf)
            found.append(
                Asked(cosines[number][near], total, none, np.zeros(len(near)), near == places[row.id])
            )
        progress.update(min(start + _BATCH, len(queries)), len(queries))
    return found


def held_out(queries: Sequence[Row], keys: np.ndarray) -> list[int]:
    """The places of those queries, given their molecules' InChIKeys, that training with this data holds out."""
    chosen = tuning_slice(keys, SHARE, SEED)
    return [
        place
        for place, (row, own) in enumerate(zip(queries, chosen, strict=True))
        if own and row.description.strip()
    ]


def _level(values: np.ndarray, right: np.ndarray) -> tuple[float, float]:
    """Centre and scale at which ``logistic((value - centre) / scale)`` is the probability of being right."""
    mean, spread = float(values.mean()), max(float(values.std()), 1e-6)
    a, b = fit_calibration((values - mean) / spread, right)
    slope = max(a, 0.1)
    return mean - b * spread / slope, spread / slope


def _best(asked: Sequence[Asked], values: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The largest of each query's ``values`` and whether it is right, with the answer in and taken out."""
    best, right = [], []
    for query, found in zip(asked, values, strict=True):
        best.append(float(found.max()))
        right.append(bool(query.right[found.argmax()]))
        if query.right.any() and not query.right.all():
            best.append(float(found[~query.right].max()))
            right.append(False)
    return np.array(best), np.array(right)


def _calibrated(asked: Sequence[Asked], fusion: Fusion) -> tuple[float, float]:
    """From the best fused value of a query whose answer is there to the probability that this hit is right.

    Where every best hit is right, the same queries without their answer show what a wrong one looks like.
    """
    values = [query.fused(fusion) for query in asked]
    right = np.array([query.right[found.argmax()] for query, found in zip(asked, values, strict=True)], bool)
    if right.all() or not right.any():
        return fit_calibration(*_best(asked, values))
    return fit_calibration(np.array([found.max() for found in values]), right)


def _score(fusion: Fusion, groups: Sequence[Sequence[Asked]]) -> float:
    """The mean over the groups of their mean reciprocal rank."""
    return float(np.mean([np.mean([query.reciprocal_rank(fusion) for query in group]) for group in groups]))


def _told_apart(fusion: Fusion, asked: Sequence[Asked], absent: Sequence[Asked]) -> float:
    """How often the best fused value of a query whose answer is there is above that of one whose answer is not."""
    kept = [query for query in asked if query.right.any() and not query.right.all()]
    inside = np.array([query.fused(fusion).max() for query in kept])
    outside = [query.without_answer() for query in kept]
    found = [
        float((inside[:, None] > np.array([query.fused(fusion).max() for query in group])).mean())
        for group in (outside, absent)
        if group
    ]
    return float(np.mean(found))


def fit(
    chemical: Sequence[Asked],
    catalogue: Sequence[Asked],
    lay: Sequence[Asked],
    absent: Sequence[Asked],
    start: Fusion,
) -> tuple[Fusion, Calibration]:
    """The constants for queries of the three kinds and for ``absent`` ones (all but ``chemical`` may be empty).

    Raises :class:`InputError` when all best hits are right, or none is: then there is nothing to fit.
    """
    try:
        sentence = _level(*_best(chemical, [query.sentence for query in chemical]))
        total = _level(*_best(chemical, [query.total for query in chemical]))
        fusion = replace(
            start,
            meaning=1.0,
            sentence_centre=sentence[0],
            sentence_scale=sentence[1],
            total_centre=total[0],
            total_scale=total[1],
        )
        groups = [group for group in (catalogue, lay) if group]
        if groups:
            tried = [
                replace(fusion, description=a, words=b, description_centre=c, description_scale=d)
                for a, b, c, d in itertools.product(_DESCRIPTION, _WORDS, _CENTRES, _SCALES)
            ]
            scores = [_score(each, groups) for each in tried]
            good = [each for each, score in zip(tried, scores, strict=True) if score > max(scores) - _EQUAL]
            fusion = max(good, key=lambda each: _told_apart(each, [*catalogue, *lay], absent))
        described = [*catalogue, *lay] or chemical
        plain, texts = _calibrated(chemical, fusion), _calibrated(described, fusion)
        calibration = Calibration(a=plain[0], b=plain[1], text_a=texts[0], text_b=texts[1])
        calibration = replace(
            calibration,
            presence=_fitted_presence(chemical, [], fusion, calibration),
            text_presence=_fitted_presence(described, absent, fusion, calibration),
        )
    except ValueError as fault:
        raise InputError(f"The constants cannot be fitted: {fault}.", remedy="Give more queries.") from fault
    rounded = {name: round(value, 4) for name, value in asdict(fusion).items()}
    return Fusion(**rounded), calibration


def _fitted_presence(
    asked: Sequence[Asked], absent: Sequence[Asked], fusion: Fusion, calibration: Calibration
) -> Presence:
    """Whether an answer is there, learnt from ``asked`` with and without their answers and from ``absent``."""
    kept = [query for query in asked if query.right.any() and not query.right.all()]
    gone = [*(query.without_answer() for query in kept), *absent]
    return fit_presence(
        [query.probability(fusion, calibration) for query in kept],
        [query.probability(fusion, calibration) for query in gone],
    )


def describe(fusion: Fusion, calibration: Calibration, groups: dict[str, Sequence[Asked]]) -> dict[str, Any]:
    """What these constants achieve on each group of queries, and how often an absent answer is called absent."""
    found: dict[str, Any] = {}
    for name, group in groups.items():
        if not group:
            continue
        kept = [query for query in group if query.right.any() and not query.right.all()]
        outside = [query.without_answer() for query in kept] or list(group)
        found[name] = {"queries": len(group)} | _verdicts(outside, fusion, calibration, "answer not there")
        if kept:
            ranks = np.array([query.reciprocal_rank(fusion) for query in group])
            found[name] |= {
                "success@1": _share(ranks >= 1),
                "success@10": _share(ranks >= 0.1),
                "mrr": round(float(ranks.mean()), 4),
            } | _verdicts(kept, fusion, calibration, "answer there")
    return found


def _verdicts(
    asked: Sequence[Asked], fusion: Fusion, calibration: Calibration, when: str
) -> dict[str, float]:
    said = np.array([query.verdict(fusion, calibration) for query in asked])
    return {f"called {name}, {when}": _share(said == name) for name in ("absent", "found")}


def _share(marks: np.ndarray) -> float:
    return round(float(marks.mean()), 4)


def write(folder: Path, fusion: Fusion, calibration: Calibration) -> None:
    """Put the constants into the ``config.json`` of a model folder, in one step; its weights do not change."""
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config |= {"fusion": asdict(fusion), "calibration": asdict(calibration)}
    part = path.with_suffix(".part")
    part.write_text(json.dumps(config, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    part.replace(path)


def rows_of_names(library: Library, accepted: frozenset[str]) -> frozenset[int]:
    """The rows of ``library`` that are called one of ``accepted``; :class:`InputError` for a name it does not have."""
    sql = library.sql()
    rows: set[int] = set()
    for name in accepted:
        found = sql.execute("SELECT idx FROM rows WHERE name = ?", (name,)).fetchall()
        if not found:
            raise InputError(f"The library has no molecule called '{name}'.", field="--lay")
        rows.update(row for (row,) in found)
    return frozenset(rows)
