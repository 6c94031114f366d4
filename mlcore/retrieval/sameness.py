"""What counts as the same molecule as a structure: the compound, its parent, or a tautomer; and which rows do.

A row carries three keys for this: its InChIKey, that of its parent (counter-ions and solvents removed, neutralised) and
one that the tautomers of a parent share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlcore.retrieval.candidates import Candidate
from mlcore.retrieval.shelf import Shelf
from mlcore.retrieval.structure import Structure

#: what may count as the same molecule, the narrowest first: each includes those before it
SAMES = ("compound", "parent", "tautomer")
#: how a row is related to the molecule asked for, its score, and the words for it
RELATIONS: dict[str, tuple[float, str]] = {
    "exact": (1.0, ""),
    "same parent": (0.85, "another salt, charge or solvate of the same parent"),
    "tautomer": (0.8, "a tautomer or protonation state"),
    "stereo differs": (0.9, "the same molecule with other or unstated stereo"),
}
#: the relations in the order of the answer: what counts as the same, then the rest
_ORDER = {
    "compound": ("exact", "stereo differs", "same parent", "tautomer"),
    "parent": ("exact", "same parent", "stereo differs", "tautomer"),
    "tautomer": ("exact", "same parent", "tautomer", "stereo differs"),
}
COUNTS = {
    "compound": ("exact",),
    "parent": ("exact", "same parent"),
    "tautomer": ("exact", "same parent", "tautomer"),
}
MISSING = {
    "compound": "This molecule is not in this library.",
    "parent": "Neither this molecule nor another salt, charge or solvate of it is in this library.",
    "tautomer": "Neither this molecule nor a salt or tautomer of it is in this library.",
}


def relative(place: int, row: int, how: str, same: str, similarity: float | None = None) -> Candidate:
    """A row that is the molecule or a relation of it, in the group that ``same`` gives it."""
    score, _ = RELATIONS[how]
    return Candidate(place, row, score, ("structure",), _ORDER[same].index(how), similarity, how)


def related_rows(structure: Structure, shelf: Shelf, *, stereo: bool) -> dict[int, str]:
    """Rows that are the molecule or a close relation of it, with the closest relation of each.

    Without ``stereo``, what differs in nothing else counts as the relation that it would otherwise be. A
    digest cannot be compared in part, so tautomers are then those of every stereo form in the library.
    """
    if not structure.inchikey:  # dummy atoms: InChI cannot express them
        return {}
    skeleton = shelf.with_skeleton(structure.skeleton)
    exact = shelf.with_key("inchikey", structure.inchikey)
    parents = shelf.with_key("parent_inchikey", structure.parent_inchikey or structure.inchikey)
    keys = {structure.tautomer_key}
    if not stereo:
        protonation = structure.inchikey[-1:]  # the first block leaves out charges made by protons
        exact += [row for row in skeleton if str(shelf.keys[row])[-1:] == protonation]
        parents = _with_parent_skeleton(shelf, structure.parent_inchikey)
        keys |= _values(shelf, "tautomer_key", parents)
    steps = (
        ("exact", exact),
        ("same parent", parents),
        ("stereo differs", skeleton),
        ("tautomer", [row for key in sorted(keys) for row in shelf.with_key("tautomer_key", key)]),
    )
    found: dict[int, str] = {}
    for how, rows in steps:
        for row in rows:
            found.setdefault(row, how)
    return found


def _with_parent_skeleton(shelf: Shelf, parent_inchikey: str) -> list[int]:
    """Rows whose parent has the first InChIKey block of ``parent_inchikey``: the parent whatever its stereo."""
    first = parent_inchikey.partition("-")[0]
    query = "SELECT idx FROM rows WHERE parent_inchikey >= ? AND parent_inchikey < ? ORDER BY idx"
    return [row for (row,) in shelf.library.sql().execute(query, (f"{first}-", f"{first}."))]


def _values(shelf: Shelf, column: str, rows: Sequence[int]) -> set[str]:
    """The values that ``rows`` have in a ``column`` of keys."""
    held = shelf.library.rows(rows)
    return {str(getattr(row, column)) for row in held} - {""}


def family(key: str, shelf: Shelf, related: Mapping[int, str], *, stereo: bool) -> dict[int, str]:
    """Rows with the parent of those that ``key`` names, or with their tautomer keys."""
    named = [row for row, how in related.items() if how == "exact"]
    parents = _values(shelf, "parent_inchikey", named) | {key}
    salts: list[int] = []
    for parent in sorted(parents):
        salts += shelf.with_key("parent_inchikey", parent) if stereo else _with_parent_skeleton(shelf, parent)
    found = dict.fromkeys(salts, "same parent")
    for tautomer in sorted(_values(shelf, "tautomer_key", [*named, *salts])):
        for row in shelf.with_key("tautomer_key", tautomer):
            found.setdefault(row, "tautomer")
    return found


def counted(found: Sequence[Candidate], same: str) -> list[str]:
    """How many of each close relation there are."""
    exact = sum(candidate.how == "exact" for candidate in found)
    notes = [f"{exact} exact match{'es' if exact > 1 else ''}." if exact else "No exact match."]
    for how in _ORDER[same][1:]:
        number = sum(candidate.how == how for candidate in found)
        if number:
            notes.append(f"{number} hit{'s are' if number > 1 else ' is'} {RELATIONS[how][1]}.")
    return notes
