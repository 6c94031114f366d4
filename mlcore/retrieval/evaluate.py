"""Measuring retrieval: *full* and *split* pools, both directions, first stage and re-ranked.

A query is ranked against every row of the pool by the sentence-molecule cosine; the first ``shortlist`` of them are
then ordered by the multi-grained score, the rest keep their order below. Every pair is scored from its own two
members. Ties count against us.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mlcore.retrieval.data import Molecules, Row, featurise_all
from mlcore.retrieval.encoding import MoleculeEncoding, TextEncoding, joined
from mlcore.retrieval.grains import TextSide
from mlcore.retrieval.graphs import ragged_rows
from mlcore.retrieval.model import RetrievalModel, concatenate, molecule_side, split_shares
from mlcore.retrieval.ranking import ranks, summary
from mlcore.runtime.errors import InputError
from mlcore.runtime.progress import Progress

_BATCH = 64


@dataclass(frozen=True)
class Protocol:
    """How to score."""

    shortlist: int = 64  # candidates that are re-ranked; 0 for the first stage alone
    seed: int = 0
    bootstrap: int = 2000
    pools: tuple[str, ...] = ("full", "split")
    directions: tuple[str, ...] = ("text_to_molecule", "molecule_to_text")


def evaluate(
    model: RetrievalModel,
    queries: Sequence[Row],
    candidates: Sequence[Row],
    texts: Sequence[Row],
    protocol: Protocol,
    progress: Progress,
    molecules: Molecules | None = None,
) -> dict[str, Any]:
    """All figures of the contract (see ``docs``): ``{"full": {direction: …}, "split": {direction: …}, …}``.

    ``molecules`` holds the candidates' features where the caller has them already.

    Raises:
        InputError: no queries, a query without a description, or one whose id is not among the candidates.
    """
    started = time.monotonic()
    numbers = {row.id: number for number, row in enumerate(candidates)}
    if not queries:
        raise InputError("There are no queries.", field="--queries")
    for row in queries:
        if row.id not in numbers:
            raise InputError(
                f"The query {row.id} is not among the candidates.", remedy="Ids are shared between files."
            )
        if not row.description.strip():
            raise InputError(f"The query {row.id} has no description.", field="--queries")
    progress.log(f"encoding {len(queries) + len(texts)} texts")
    spoken = encode_texts(model, [row.description for row in (*queries, *texts)], progress)
    progress.log(f"encoding {len(candidates)} molecules")
    drawn, refused = encode_rows(model, candidates, progress, molecules)
    truth = np.array([numbers[row.id] for row in queries])
    own = np.arange(len(queries))
    to_molecule = spoken.sentence[: len(queries)] @ drawn.vectors.T
    to_molecule[:, refused] = -np.inf
    to_text = drawn.vectors[truth] @ spoken.sentence.T
    places = np.full(len(candidates), -1)
    places[truth] = own
    tasks = {
        ("full", "text_to_molecule"): (to_molecule, truth, np.arange(len(candidates))),
        ("full", "molecule_to_text"): (to_text, own, np.arange(spoken.sentence.shape[0])),
        ("split", "text_to_molecule"): (to_molecule[:, truth], own, truth),
        ("split", "molecule_to_text"): (to_text[:, : len(queries)], own, own),
    }
    result: dict[str, Any] = {pool: {} for pool in protocol.pools}
    for (pool, direction), (scores, target, members) in tasks.items():
        if pool not in protocol.pools or direction not in protocol.directions:
            continue
        progress.log(f"ranking {pool} {direction}")
        first = ranks(scores, target)
        entry: dict[str, Any] = dict(summary(first, scores.shape[1]))
        if protocol.shortlist:
            forward = direction == "text_to_molecule"
            found = _reranked(
                model, spoken, drawn, scores, target, members, truth, first, forward, protocol, progress
            )
            entry = dict(summary(found, scores.shape[1]))
            entry["first_stage"] = summary(first, scores.shape[1])
            entry["reranking"] = _paired(first, found, protocol)
        result[pool][direction] = entry
    result["model"] = model.fingerprint
    result["unreadable_candidates"] = int(refused.sum())
    result["shortlist"] = protocol.shortlist
    result["seconds"] = round(time.monotonic() - started, 1)
    return result


def encode_texts(model: RetrievalModel, texts: Sequence[str], progress: Progress) -> TextEncoding:
    """Encode many texts, telling how far it is."""
    parts = []
    for first in range(0, len(texts), _BATCH):
        parts.append(model.encode_texts(texts[first : first + _BATCH]))
        progress.update(min(first + _BATCH, len(texts)), len(texts))
    return joined(parts)


def encode_rows(
    model: RetrievalModel, rows: Sequence[Row], progress: Progress, molecules: Molecules | None = None
) -> tuple[MoleculeEncoding, np.ndarray]:
    """Encode the molecules of a table; the second value marks those that RDKit refuses (their vector is of another)."""
    known = molecules or featurise_all([*(row.smiles for row in rows), "C"])
    found = np.array([known.numbers.get(row.smiles, -1) for row in rows])
    distinct, order = np.unique(np.maximum(found, 0), return_inverse=True)
    parts = []
    for first in range(0, len(distinct), _BATCH):
        last = min(first + _BATCH, len(distinct))
        parts.append(model.encode_packed(known.packed.take(distinct[first:last])))
        progress.update(last, len(distinct))
    return take(concatenate(parts), order), found < 0


def take(molecules: MoleculeEncoding, rows: np.ndarray) -> MoleculeEncoding:
    """The chosen molecules, in the order given."""

    def part(values: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        starts, ends = offsets[rows], offsets[rows + 1]
        return values[ragged_rows(starts, ends)], np.concatenate([[0], np.cumsum(ends - starts)])

    motifs, motif_offsets = part(molecules.motifs, molecules.motif_offsets)
    atoms, atom_offsets = part(molecules.atoms, molecules.atom_offsets)
    return MoleculeEncoding(molecules.vectors[rows], motifs, motif_offsets, atoms, atom_offsets)


def _reranked(
    model: RetrievalModel,
    spoken: TextEncoding,
    drawn: MoleculeEncoding,
    scores: np.ndarray,
    target: np.ndarray,
    members: np.ndarray,
    truth: np.ndarray,
    first: np.ndarray,
    forward: bool,
    protocol: Protocol,
    progress: Progress,
) -> np.ndarray:
    """Ranks after the shortlist of every query has been re-ordered."""
    width = min(protocol.shortlist, scores.shape[1])
    best = np.argpartition(-scores, width - 1, axis=1)[:, :width]
    found = first.copy()
    for query in range(len(scores)):
        rows = best[query]
        if target[query] not in rows:
            found[query] = max(first[query], width + 1)
            continue
        if forward:
            total = model.rerank(spoken, query, take(drawn, members[rows])).total
        else:
            total = rerank_texts(model, spoken, members[rows], take(drawn, truth[query : query + 1]))
        found[query] = int((total >= total[rows == target[query]]).sum())
        if query % 50 == 0:
            progress.update(query, len(scores))
    return found


@torch.inference_mode()
def rerank_texts(
    model: RetrievalModel, spoken: TextEncoding, rows: np.ndarray, molecule: MoleculeEncoding
) -> np.ndarray:
    """The multi-grained score of one molecule against the chosen texts, (rows,)."""
    total = np.zeros(len(rows), dtype=np.float32)
    lengths = spoken.mask[rows].sum(1)
    other = molecule_side(molecule, np.array([0]))
    for chosen in np.array_split(np.argsort(lengths, kind="stable"), max(1, len(rows) // 16)):
        size = int(lengths[chosen].max())
        tokens, token_shares = split_shares(torch.from_numpy(spoken.tokens[rows[chosen], :size]))
        phrases, phrase_shares = split_shares(torch.from_numpy(spoken.phrases[rows[chosen], :size]))
        mask = torch.from_numpy(spoken.mask[rows[chosen], :size])
        phrase, token = model.network.fine_scores(
            TextSide(tokens, phrases, token_shares, phrase_shares, mask), other
        )
        sentence = torch.from_numpy(spoken.sentence[rows[chosen]] @ molecule.vectors[0])
        total[chosen] = model.network.combine(sentence, phrase[:, 0], token[:, 0]).numpy()
    return total


def _paired(first: np.ndarray, found: np.ndarray, protocol: Protocol) -> dict[str, Any]:
    """What re-ranking adds, with the 95 % interval of a paired bootstrap over the queries."""
    rng = np.random.default_rng(protocol.seed)
    samples = rng.integers(0, len(first), (protocol.bootstrap, len(first)))
    gains = {"hits@1": (found <= 1).astype(float) - (first <= 1), "mrr": 1.0 / found - 1.0 / first}
    return {
        name: {
            "gain": float(gain.mean()),
            "ci95": np.quantile(gain[samples].mean(1), [0.025, 0.975]).tolist(),
        }
        for name, gain in gains.items()
    }
