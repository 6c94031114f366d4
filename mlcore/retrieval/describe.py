"""The reverse way: from a molecule to the texts that describe it best."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from mlcore.retrieval.answer import libraries_json
from mlcore.retrieval.search import Searcher
from mlcore.retrieval.shelf import Shelf
from mlcore.retrieval.structure import Structure, read_any
from mlcore.runtime.errors import InputError


def describe(
    structure: str, searcher: Searcher, *, libraries: Sequence[str] = (), k: int = 10
) -> dict[str, Any]:
    """The ``k`` texts of ``libraries`` that the model finds closest to a molecule (SMILES, InChI or molfile).

    ``{"structure", "texts": [{"rank", "text", "score", "own", "library", "molecule": {"id", "name"}}],
    ...}``; ``score`` is the cosine of molecule and text, ``own`` is true where the text belongs to this very
    molecule. Raises :class:`InputError` for a structure that cannot be read.
    """
    started = time.perf_counter()
    if not 1 <= k <= 200:
        raise InputError(f"{k} texts are not possible.", field="k", remedy="Use 1 to 200.")
    if not structure.strip():
        raise InputError(
            "There is no structure.", field="structure", remedy="Give a SMILES, an InChI or a molfile."
        )
    read = read_any(structure, field="structure")
    shelves = searcher.chosen(libraries)
    vector = _vector(read, searcher)
    found: list[tuple[float, int, int]] = []
    for place, shelf in enumerate(shelves):
        vectors, owners = shelf.description_vectors
        if not len(owners):
            continue
        scores = vectors @ vector
        best = np.argsort(-scores, kind="stable")[: 2 * k]
        found.extend((float(scores[i]), place, int(i)) for i in best)
    found.sort(key=lambda item: (-round(item[0], 7), item[1], item[2]))
    texts: list[dict[str, Any]] = []
    seen: set[str] = set()
    for score, place, number in found:
        entry = _text(shelves[place], int(shelves[place].description_numbers[number]), score, read)
        if entry["text"] in seen:
            continue
        seen.add(entry["text"])
        texts.append({"rank": len(texts) + 1, **entry})
        if len(texts) == k:
            break
    return {
        "structure": {"smiles": read.smiles, "inchikey": read.inchikey, "formula": read.formula},
        "texts": texts,
        "libraries": libraries_json(shelves),
        "model": searcher.model.fingerprint,
        "took_ms": round((time.perf_counter() - started) * 1000, 2),
    }


def _vector(structure: Structure, searcher: Searcher) -> np.ndarray:
    """The molecule's vector; the SMILES has been read, checked and rewritten by the sandbox."""
    from rdkit import Chem

    encoding = searcher.model.encode_molecules([Chem.MolFromSmiles(structure.smiles)])
    return np.asarray(encoding.vectors[0])


def _text(shelf: Shelf, number: int, score: float, structure: Structure) -> dict[str, Any]:
    query = (
        "SELECT d.text, r.id, r.name, r.inchikey FROM descriptions d "
        "JOIN rows r ON r.idx = d.row WHERE d.vector = ?"
    )
    text, identity, name, key = shelf.library.sql().execute(query, (number,)).fetchone()
    return {
        "text": text,
        "score": round(score, 4),
        "own": bool(key) and key == structure.inchikey,
        "library": shelf.library.id,
        "molecule": {"id": identity, "name": name},
    }
