"""Everything that the molecule page and the comparison page show about *why*."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from webapp.search import drawings, plan, problems
from webapp.search.quantities import QUANTITIES
from workers import inference

PARTS = {
    "sentence": ("Whole sentence", "How near the sentence as a whole lies to the molecule as a whole."),
    "phrase": ("Phrases to groups", "How well the phrases can be carried onto the molecule's groups."),
    "token": ("Words to atoms", "How well single words find atoms that fit them."),
    "total": ("Together", "The weighted sum that ranks the hits; it has no upper end."),
}


def page(library: str, identifier: str, query: str, word: int | None, back: str = "") -> dict[str, Any]:
    """The molecule page: the molecule, its drawing, and (with a query) why it was found.

    ``word`` lights that word's atoms in the drawing, for those without scripts; ``back`` is the query string of the
    search to go back to, anything else is dropped.

    Raises:
        workers.inference.NotFound: there is no such molecule.
    """
    shown = inference.molecule(library, identifier)
    molecule = shown["molecule"]
    why = _why(query, library, identifier) if query.strip() else {}
    lit = _atoms_of(why.get("explanation"), word)
    drawing = _drawing(molecule, lit)
    values = {**molecule.get("properties", {}), **molecule}
    return {
        **shown,
        **why,
        **drawing,
        "q": query,
        "back": back if back.startswith("?") else "",
        "word_index": word,
        "properties": [(quantity, values.get(quantity.name)) for quantity in QUANTITIES],
    }


def comparison(query: str, library: str, first: str, second: str) -> dict[str, Any]:
    """The comparison of two hits, part by part and word by word, in the order shown.

    Raises:
        workers.inference.NotFound: one of the molecules is not there.
        workers.inference.BadInput: there is no query to compare them by.
    """
    answer = inference.compare(query, library, first, second)
    largest = (
        max((abs(word[side]) for word in answer["words"] for side in ("first", "second")), default=0.0) or 1.0
    )
    parts = [
        {
            **row,
            "label": PARTS.get(row["part"], (row["part"], "")),
            "difference": row["first"] - row["second"],
        }
        for row in answer["differences"]
    ]
    words = [
        {**word, "first_bar": max(word["first"], 0) / largest, "second_bar": max(word["second"], 0) / largest}
        for word in answer["words"]
    ]
    sides = [answer["first"], answer["second"]]
    return {**answer, "sides": sides, "differences": parts, "words": words, "library": library, "q": query}


def _why(query: str, library: str, identifier: str) -> dict[str, Any]:
    try:
        explanation = inference.explain(query, library, identifier)
    except (inference.BadInput, inference.Busy) as error:
        return {"why_problem": problems.explain(error)}
    score = explanation["score"]
    return {
        "explanation": explanation,
        "picture": plan.picture(explanation),
        "heat": plan.heat(explanation),
        "strongest": plan.strongest(explanation),
        "little": plan.little(explanation),
        "parts": [(label, meaning, score[name]) for name, (label, meaning) in PARTS.items() if name in score],
        "light": {
            "atoms": explanation["atom_scores"],
            "motifs": [motif["atoms"] for motif in explanation["motifs"]],
        },
    }


def _drawing(molecule: Mapping[str, Any], atoms: tuple[int, ...]) -> dict[str, Any]:
    label = f"{molecule['name']}, {molecule['formula']}"
    try:
        return {"drawing": drawings.both_themes(molecule["smiles"], label, atoms)}
    except (inference.BadInput, inference.Busy) as error:
        return {"drawing_problem": problems.explain(error)}


def _atoms_of(explanation: Mapping[str, Any] | None, word: int | None) -> tuple[int, ...]:
    if explanation is None or word is None or not 0 <= word < len(explanation["atom_scores"]):
        return ()
    scores = explanation["atom_scores"][word]
    middle = (min(scores) + max(scores)) / 2 if scores else 0.0
    return tuple(atom for atom, score in enumerate(scores) if score >= middle)
