"""The search answer as JSON, the same for page, API and command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlcore.retrieval.candidates import Candidate
from mlcore.retrieval.encoding import MoleculeEncoding, TextEncoding
from mlcore.retrieval.fusion import words_for
from mlcore.retrieval.lexical import STOP_WORDS, words
from mlcore.retrieval.query import Query
from mlcore.retrieval.rows import MoleculeRow
from mlcore.retrieval.shelf import Shelf

#: how many words may be shown as linked to a molecule by the model alone
LINKED = 3


def molecule_json(row: MoleculeRow) -> dict[str, Any]:
    """A molecule as a hit shows it."""
    properties = {name: _number(value) for name, value in row.properties.items()}
    return {
        "id": row.id,
        "name": row.name,
        "smiles": row.smiles,
        "standard_smiles": row.standard_smiles,
        "standardisation": list(row.standardisation),
        "inchikey": row.inchikey,
        "formula": row.formula,
        "weight": round(row.weight, 3),
        "exact_mass": round(row.exact_mass, 5),
        **properties,
        "description": row.descriptions[0] if row.descriptions else "",
        "synonyms": list(row.synonyms),
        "category": row.category,
    }


def _number(value: float) -> float | int:
    return int(value) if float(value).is_integer() else round(float(value), 3)


def query_json(query: Query) -> dict[str, Any]:
    """The query as it was understood."""
    structure = query.structure
    return {
        "text": query.text,
        "kind": query.kind,
        "label": query.label,
        "alternatives": [{"read_as": other.read_as, "label": other.label} for other in query.alternatives],
        "canonical": structure.smiles if structure else None,
        "smiles": structure.smiles if structure else None,
        "inchikey": structure.inchikey if structure else query.key if query.kind == "inchikey" else None,
        "formula": str(query.formula) if query.formula else structure.formula if structure else None,
        "smarts": query.pattern.text if query.pattern else None,
        "corrected": query.corrected,
        "notes": list(query.notes),
    }


def hit_json(
    rank: int,
    candidate: Candidate,
    row: MoleculeRow,
    shelf: Shelf,
    matched: Sequence[str],
    linked: Sequence[str],
) -> dict[str, Any]:
    """One hit."""
    return {
        "rank": rank,
        "score": round(min(max(candidate.score, 0.0), 1.0), 4),
        "score_words": words_for(candidate.score),
        "library": shelf.library.id,
        "also_in": list(candidate.also_in),
        "molecule": molecule_json(row),
        "matched": {
            "channels": list(candidate.channels),
            "words": list(matched),
            "linked": list(linked),
            "how": candidate.how or None,
            "similarity": candidate.similarity,
            "parts": candidate.parts,
        },
    }


def row_fields(row: MoleculeRow) -> list[str]:
    """The texts of a row in which query words are looked for."""
    return [row.name, *row.synonyms, row.category, *row.descriptions]


def linked_words(text: str, encoding: TextEncoding, molecules: MoleculeEncoding) -> list[list[str]]:
    """For each molecule the words of ``text`` (row 0 of ``encoding``) that the model ties most to one of its motifs.

    A word's tie is the sum over its tokens of their share times the largest cosine with a motif; only words above the
    mean of all words by half their spread are named, :data:`LINKED` at most.
    """
    spans = encoding.spans[0]
    said = [w for w in words(text) if len(w.text) > 2 and w.text.lower() not in STOP_WORDS]
    inside = [[i for i, (start, end) in enumerate(spans) if start < w.end and end > w.start] for w in said]
    said = [word for word, tokens in zip(said, inside, strict=True) if tokens]
    inside = [tokens for tokens in inside if tokens]
    if len(said) < 2 or not len(molecules.motifs):
        return [[] for _ in range(len(molecules))]
    real = encoding.phrases[0][encoding.mask[0]]
    lengths = np.linalg.norm(molecules.motifs, axis=1, keepdims=True)
    alike = real[: len(spans)] @ (molecules.motifs / np.maximum(lengths, 1e-9)).T
    by_word = np.stack([alike[tokens].sum(axis=0) for tokens in inside])
    found: list[list[str]] = []
    for start, end in zip(molecules.motif_offsets[:-1], molecules.motif_offsets[1:], strict=True):
        if start == end:
            found.append([])
            continue
        ties = by_word[:, start:end].max(axis=1)
        order = np.argsort(-ties, kind="stable")
        enough = float(ties.mean() + 0.5 * ties.std())
        found.append(list(dict.fromkeys(said[i].text for i in order if ties[i] > enough))[:LINKED])
    return found


def verdict_json(level: str, text: str) -> dict[str, str]:
    """The verdict: ``found``, ``doubtful`` or ``absent`` and a sentence."""
    return {"level": level, "text": text}


def libraries_json(shelves: Sequence[Shelf]) -> list[dict[str, Any]]:
    """The libraries that were searched."""
    return [
        {"id": s.library.id, "name": s.library.name, "size": s.size, "fingerprint": s.library.fingerprint}
        for s in shelves
    ]


def pages_json(total: int, offset: int, k: int) -> Mapping[str, int]:
    """Where this page lies."""
    return {"total": total, "offset": offset, "k": k}
