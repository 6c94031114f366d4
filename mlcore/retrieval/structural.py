"""Finding molecules by structure, pattern, formula, InChIKey, name or id: ways that need no model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mlcore.retrieval.allowed import Allowed, contains
from mlcore.retrieval.candidates import Candidate, Ranking
from mlcore.retrieval.formula import Formula
from mlcore.retrieval.query import Query
from mlcore.retrieval.sameness import COUNTS, MISSING, RELATIONS, counted, family, related_rows, relative
from mlcore.retrieval.shelf import Shelf
from mlcore.retrieval.structure import Pattern, Structure, as_pattern, tanimoto
from mlcore.runtime.sandbox import Sandbox

#: similarity at which "there is nothing similar" still counts what lies below the wanted threshold
LOWER = 0.3
#: at most this many similar molecules are listed
MOST_SIMILAR = 1000


def by_structure(
    structure: Structure,
    shelves: Sequence[Shelf],
    allowed: Sequence[Allowed],
    *,
    mode: str,
    stereo: bool,
    threshold: float,
    same: str = "compound",
    sandbox: Sandbox | None = None,
) -> Ranking:
    """``mode`` exact, similar, contains, or auto: the same molecule (then its stereo-isomers, salts and
    tautomers in the library), then what has a Tanimoto similarity of ``threshold`` or more.

    ``same``, one of :data:`SAMES`, says what counts as the same molecule; mode exact finds nothing else.
    """
    if mode == "contains":
        return by_pattern(as_pattern(structure), shelves, allowed, stereo=stereo, sandbox=sandbox)
    found: list[Candidate] = []
    for place, (shelf, passing) in enumerate(zip(shelves, allowed, strict=True)):
        similar = mode != "exact"
        alike = tanimoto(np.asarray(shelf.library.fingerprints()), structure.morgan) if similar else None
        related = related_rows(structure, shelf, stereo=stereo)
        for row, how in related.items():
            if row in passing and (similar or how in COUNTS[same]):
                value = 1.0 if alike is None else round(float(alike[row]), 4)
                found.append(relative(place, row, how, same, value))
        if alike is not None:
            rows = np.flatnonzero((alike >= threshold) & (True if passing.mask is None else passing.mask))
            rows = rows[np.argsort(-alike[rows], kind="stable")][:MOST_SIMILAR]
            found.extend(
                Candidate(
                    place,
                    int(row),
                    float(alike[row]),
                    ("structure",),
                    len(RELATIONS),
                    round(float(alike[row]), 4),
                    "similar",
                )
                for row in rows
                if int(row) not in related
            )
    notes: list[str] = []
    missing = None
    if mode != "similar":
        notes.extend(counted(found, same))
        if not any(candidate.how in COUNTS[same] for candidate in found):
            missing = MISSING[same] if not notes[1:] else "Not in this library in exactly this form."
            if _filtered(allowed):
                missing += " The filters may hide it."
    if mode != "exact":
        notes.append(_similar_note(found, threshold, structure, shelves, allowed))
        if mode == "similar" and not found:
            missing = f"Nothing here has a similarity of {threshold:g} or more."
    return Ranking(tuple(found), tuple(notes), missing)


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


def by_inchikey(
    key: str, shelves: Sequence[Shelf], allowed: Sequence[Allowed], *, stereo: bool, same: str = "compound"
) -> Ranking:
    """The molecules of an InChIKey; of its first block when ``key`` is no more, or without ``stereo``.

    Beyond ``same`` compound, a key has the relations of the rows that carry it, as their own key or as that of
    their parent: without its structure nothing else is known of it.
    """
    whole = key.count("-") == 2
    found: list[Candidate] = []
    for place, (shelf, passing) in enumerate(zip(shelves, allowed, strict=True)):
        exact = set(shelf.with_key("inchikey", key)) if whole else set()
        related: dict[int, str] = {}
        for row in shelf.with_skeleton(key.partition("-")[0] if whole else key):
            related[row] = (
                "exact" if row in exact or not whole else _by_blocks(key, str(shelf.keys[row]), stereo)
            )
        if same != "compound":
            for row, how in family(key, shelf, related, stereo=stereo or not whole).items():
                if related.get(row) != "exact" and how in COUNTS[same]:
                    related[row] = how
        for row, how in related.items():
            if row in passing:
                hit = relative(place, row, how, same)
                found.append(hit if whole or how != "exact" else hit._replace(score=0.9))
    if any(candidate.how in COUNTS[same] for candidate in found):
        return Ranking(tuple(found), tuple(counted(found, same)) if same != "compound" else ())
    related_count = sum(candidate.how == "stereo differs" for candidate in found)
    note = f"{related_count} with the same skeleton and other stereo." if related_count else ""
    return Ranking(tuple(found), (note,) if note else (), "No molecule here has this InChIKey.")


def _by_blocks(key: str, other: str, stereo: bool) -> str:
    """How two InChIKeys of one first block are related: the second has the stereo, the third the protons."""
    if key[-1] == other[-1]:
        return "stereo differs" if stereo else "exact"
    return "same parent" if key[15:25] == other[15:25] or not stereo else "stereo differs"


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
    same: str = "compound",
    stereo: bool = True,
    threshold: float = 0.5,
    sandbox: Sandbox | None = None,
) -> Ranking | None:
    """The ranking of a query that needs no model; ``None`` for one in words (prose, name)."""
    if query.structure is not None:
        return by_structure(
            query.structure,
            shelves,
            allowed,
            mode=mode,
            same=same,
            stereo=stereo,
            threshold=threshold,
            sandbox=sandbox,
        )
    if query.pattern is not None:
        return by_pattern(query.pattern, shelves, allowed, stereo=stereo, sandbox=sandbox)
    if query.formula is not None:
        return by_formula(query.formula, shelves, allowed)
    ways: dict[str, Callable[[], Ranking]] = {
        "inchikey": lambda: by_inchikey(query.key or "", shelves, allowed, stereo=stereo, same=same),
        "id": lambda: by_id(query.text, shelves, allowed),
        "cas": lambda: by_name(query.key or "", shelves, allowed, exact_only=True),
    }
    way = ways.get(query.kind)
    return way() if way else None
