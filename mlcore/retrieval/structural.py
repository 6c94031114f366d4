"""Finding molecules by structure, pattern, formula, InChIKey, name or id: ways that need no model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mlcore.retrieval.candidates import Candidate, Ranking
from mlcore.retrieval.filters import Allowed, contains
from mlcore.retrieval.formula import Formula
from mlcore.retrieval.query import Query
from mlcore.retrieval.shelf import Shelf
from mlcore.retrieval.structure import Pattern, Structure, as_pattern, tanimoto
from mlcore.runtime.sandbox import Sandbox

#: similarity at which "there is nothing similar" still counts what lies below the wanted threshold
LOWER = 0.3
#: at most this many similar molecules are listed
MOST_SIMILAR = 1000
_SAME = (
    ("exact", 0, 1.0, None),
    ("stereo differs", 1, 0.9, "the same molecule with other or unstated stereo"),
    ("same parent", 2, 0.85, "another salt, charge or solvate of the same parent"),
    ("tautomer", 3, 0.8, "a tautomer or protonation state"),
)


def by_structure(
    structure: Structure,
    shelves: Sequence[Shelf],
    allowed: Sequence[Allowed],
    *,
    mode: str,
    stereo: bool,
    threshold: float,
    sandbox: Sandbox | None = None,
) -> Ranking:
    """``mode`` exact, similar, contains, or auto: the same molecule (then its stereo-isomers, salts and
    tautomers in the library), then what has a Tanimoto similarity of ``threshold`` or more.
    """
    if mode == "contains":
        return by_pattern(as_pattern(structure), shelves, allowed, stereo=stereo, sandbox=sandbox)
    found: list[Candidate] = []
    notes: list[str] = []
    for place, (shelf, passing) in enumerate(zip(shelves, allowed, strict=True)):
        similar = mode != "exact"
        alike = tanimoto(np.asarray(shelf.library.fingerprints()), structure.morgan) if similar else None
        same = _same(structure, shelf, stereo=stereo, exact_only=mode == "exact")
        for row, (how, group, score) in same.items():
            if row in passing:
                value = 1.0 if alike is None else round(float(alike[row]), 4)
                found.append(Candidate(place, row, score, ("structure",), group, value, how))
        if alike is not None:
            rows = np.flatnonzero((alike >= threshold) & (True if passing.mask is None else passing.mask))
            rows = rows[np.argsort(-alike[rows], kind="stable")][:MOST_SIMILAR]
            found.extend(
                Candidate(
                    place,
                    int(row),
                    float(alike[row]),
                    ("structure",),
                    4,
                    round(float(alike[row]), 4),
                    "similar",
                )
                for row in rows
                if int(row) not in same
            )
    exact = sum(candidate.how == "exact" for candidate in found)
    missing = None
    if mode != "similar":
        notes.extend(_counted(found))
    if not exact and mode != "similar":
        missing = (
            "Not in this library in exactly this form."
            if notes[1:]
            else "This molecule is not in this library."
        )
        if _filtered(allowed):
            missing += " The filters may hide it."
    if mode != "exact":
        notes.append(_similar_note(found, threshold, structure, shelves, allowed))
        if mode == "similar" and not found:
            missing = f"Nothing here has a similarity of {threshold:g} or more."
    return Ranking(tuple(found), tuple(notes), missing)


def _same(
    structure: Structure, shelf: Shelf, *, stereo: bool, exact_only: bool
) -> dict[int, tuple[str, int, float]]:
    """Rows that are the molecule or a close relation of it, the closest relation of each."""
    steps: list[tuple[str, Callable[[], list[int]]]] = [
        ("exact", lambda: shelf.with_key("inchikey", structure.inchikey))
    ]
    if not stereo:
        steps.append(("exact", lambda: shelf.with_skeleton(structure.skeleton)))
    elif not exact_only:
        steps.append(("stereo differs", lambda: shelf.with_skeleton(structure.skeleton)))
    if not exact_only:
        steps.append(("same parent", lambda: shelf.with_key("parent_inchikey", structure.parent_inchikey)))
        steps.append(("tautomer", lambda: shelf.with_key("tautomer_key", structure.tautomer_key)))
    scores = {how: (group, score) for how, group, score, _ in _SAME}
    found: dict[int, tuple[str, int, float]] = {}
    if not structure.inchikey:  # dummy atoms: InChI cannot express them
        return found
    for how, look in steps:
        for row in look():
            found.setdefault(row, (how, *scores[how]))
    return found


def _counted(found: Sequence[Candidate]) -> list[str]:
    """How many of each close relation there are."""
    notes = []
    for how, _, _, words in _SAME:
        number = sum(candidate.how == how for candidate in found)
        if how == "exact":
            notes.append(
                "No exact match." if not number else f"{number} exact match{'es' if number > 1 else ''}."
            )
        elif number:
            notes.append(f"{number} hit{'s are' if number > 1 else ' is'} {words}.")
    return notes


def _similar_note(
    found: Sequence[Candidate],
    threshold: float,
    structure: Structure,
    shelves: Sequence[Shelf],
    allowed: Sequence[Allowed],
) -> str:
    number = sum(candidate.how == "similar" for candidate in found)
    if number:
        return f"{number:,} similar (Tanimoto {threshold:g} or more)."
    lower = 0
    if threshold > LOWER:
        for shelf, passing in zip(shelves, allowed, strict=True):
            alike = tanimoto(np.asarray(shelf.library.fingerprints()), structure.morgan)
            fit = (alike >= LOWER) & (alike < threshold)
            lower += int((fit if passing.mask is None else fit & passing.mask).sum())
    more = f"; {lower:,} at {LOWER:g} or more" if lower else ""
    return f"None similar at {threshold:g} or more{more}."


def _filtered(allowed: Sequence[Allowed]) -> bool:
    return any(passing.mask is not None for passing in allowed)


def by_pattern(
    pattern: Pattern,
    shelves: Sequence[Shelf],
    allowed: Sequence[Allowed],
    *,
    stereo: bool,
    sandbox: Sandbox | None = None,
) -> Ranking:
    """All molecules that contain ``pattern``; those of which it makes up most come first."""
    found: list[Candidate] = []
    notes: list[str] = []
    for place, (shelf, passing) in enumerate(zip(shelves, allowed, strict=True)):
        inside = contains(pattern, shelf, passing.mask, stereo=stereo, sandbox=sandbox)
        notes.extend(inside.notes)
        rows = inside.rows if inside.rows is not None else np.arange(shelf.size)
        shares = np.minimum(1.0, pattern.atoms / np.maximum(shelf.columns["heavy_atoms"][rows], 1.0))
        found.extend(
            Candidate(
                place,
                int(row),
                0.6 + 0.4 * float(share),
                ("structure",),
                0,
                round(float(share), 4),
                "contains",
            )
            for row, share in zip(rows, shares, strict=True)
        )
    number = len(found)
    notes.insert(0, f"{number:,} molecule{'s contain' if number != 1 else ' contains'} it.")
    return Ranking(tuple(found), tuple(notes), None if found else "No molecule here contains this structure.")


def by_formula(formula: Formula, shelves: Sequence[Shelf], allowed: Sequence[Allowed]) -> Ranking:
    """All molecules of a formula, the best known first. Without a stated charge, ions follow the neutral ones."""
    found: list[Candidate] = []
    for place, (shelf, passing) in enumerate(zip(shelves, allowed, strict=True)):
        for row, charge in shelf.formulas.get(formula.hill, []):
            if row not in passing or (formula.charge is not None and charge != formula.charge):
                continue
            renown = float(shelf.renown[row])
            score = 0.7 + 0.2 * renown / (renown + 5.0) - (0.3 if formula.charge is None and charge else 0.0)
            found.append(
                Candidate(place, row, score, ("formula",), int(bool(charge) and formula.charge is None))
            )
    if not found:
        return Ranking(missing=f"No molecule here has the formula {formula}.")
    number = len(found)
    note = (
        f"{number:,} molecules have the formula {formula}."
        if number > 1
        else f"One molecule has the formula {formula}."
    )
    return Ranking(tuple(found), (note,))


def by_inchikey(key: str, shelves: Sequence[Shelf], allowed: Sequence[Allowed], *, stereo: bool) -> Ranking:
    """The molecules of an InChIKey; of its first block when ``key`` is no more, or without ``stereo``."""
    skeleton = key.partition("-")[0]
    whole = key.count("-") == 2
    found: list[Candidate] = []
    for place, (shelf, passing) in enumerate(zip(shelves, allowed, strict=True)):
        exact = set(shelf.with_key("inchikey", key)) if whole else set()
        beginning = skeleton if whole else key
        for row in shelf.with_skeleton(beginning):
            if row not in passing:
                continue
            if row in exact or not whole or not stereo:
                found.append(Candidate(place, row, 1.0 if whole else 0.9, ("structure",), 0, how="exact"))
            else:
                found.append(Candidate(place, row, 0.85, ("structure",), 1, how="stereo differs"))
    if not any(candidate.how == "exact" for candidate in found):
        related = sum(candidate.how == "stereo differs" for candidate in found)
        note = f"{related} with the same skeleton and other stereo." if related else ""
        return Ranking(tuple(found), (note,) if note else (), "No molecule here has this InChIKey.")
    return Ranking(tuple(found))


def by_name(
    text: str, shelves: Sequence[Shelf], allowed: Sequence[Allowed], *, exact_only: bool = False
) -> Ranking:
    """Molecules called ``text``: exact, else corrected; and those whose names begin so."""
    groups = {"exact": 0, "spelling": 0, "stereo": 1, "corrected": 1, "begins": 2}
    found: list[Candidate] = []
    for place, (shelf, passing) in enumerate(zip(shelves, allowed, strict=True)):
        matches = shelf.names.exact(text) if exact_only else shelf.names.find(text)
        found.extend(
            Candidate(place, match.row, match.score, ("name",), groups[match.how], how=match.how)
            for match in matches
            if match.row in passing
        )
    if any(
        candidate.group == 0 for candidate in found
    ):  # a library that only knows something like it adds nothing
        found = [candidate for candidate in found if candidate.how != "corrected"]
    return Ranking(tuple(found), missing=None if found else f"No molecule here is called '{text[:60]}'.")


def by_id(text: str, shelves: Sequence[Shelf], allowed: Sequence[Allowed]) -> Ranking:
    """The molecule with the id ``text``."""
    found = []
    for place, (shelf, passing) in enumerate(zip(shelves, allowed, strict=True)):
        try:
            row = shelf.library.index_of(text)
        except KeyError:
            continue
        if row in passing:
            found.append(Candidate(place, row, 1.0, ("id",), how="exact"))
    return Ranking(tuple(found), missing=None if found else f"No molecule here has the id '{text[:60]}'.")


def look_up(
    query: Query,
    shelves: Sequence[Shelf],
    allowed: Sequence[Allowed],
    *,
    mode: str = "auto",
    stereo: bool = True,
    threshold: float = 0.5,
    sandbox: Sandbox | None = None,
) -> Ranking | None:
    """The ranking of a query that needs no model; ``None`` for one in words (prose, name)."""
    if query.structure is not None:
        return by_structure(
            query.structure, shelves, allowed, mode=mode, stereo=stereo, threshold=threshold, sandbox=sandbox
        )
    if query.pattern is not None:
        return by_pattern(query.pattern, shelves, allowed, stereo=stereo, sandbox=sandbox)
    if query.formula is not None:
        return by_formula(query.formula, shelves, allowed)
    ways: dict[str, Callable[[], Ranking]] = {
        "inchikey": lambda: by_inchikey(query.key or "", shelves, allowed, stereo=stereo),
        "id": lambda: by_id(query.text, shelves, allowed),
        "cas": lambda: by_name(query.key or "", shelves, allowed, exact_only=True),
    }
    way = ways.get(query.kind)
    return way() if way else None
