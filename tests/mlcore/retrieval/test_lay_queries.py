"""What people type in their own words, against the shipped model and catalogue.

The queries were written, and frozen, by somebody who had not seen the catalogue's sentences. Nothing is ever fitted to
them: the constants of the search come from ``mlcore/retrieval/tuning``.
"""

from __future__ import annotations

import csv
import hashlib

from tests.mlcore.retrieval import shipped

FILE = shipped.ROOT / "tests" / "data" / "lay_queries.tsv"
SHA256 = "3e7c3a402ab96d24844eca68c6b34fc1cd6575b9addae875b86bfd4fa8cf0140"


def queries() -> list[tuple[str, frozenset[str]]]:
    """Each query with the names that answer it."""
    with FILE.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [(row["query"], frozenset(row["accepted"].split("|"))) for row in rows]


def test_the_queries_are_those_that_were_frozen() -> None:
    assert hashlib.sha256(FILE.read_bytes()).hexdigest() == SHA256
    assert len({text for text, _ in queries()}) == len(queries()) >= 200
    names = {row["name"] for row in shipped.molecules()}
    assert not {name for _, accepted in queries() for name in accepted} - names


def test_peoples_own_words_find_the_molecule_among_the_first_ten() -> None:
    asked = queries()
    ranks = []
    for text, accepted in asked:
        names = shipped.found(text, 10)
        ranks.append(next((place for place, name in enumerate(names, 1) if name in accepted), 0))
    first = sum(rank == 1 for rank in ranks) / len(asked)
    ten = sum(rank > 0 for rank in ranks) / len(asked)
    print(f"success@1 {first:.3f}, success@10 {ten:.3f} over {len(asked)} queries")
    missed = [text for (text, _), rank in zip(asked, ranks, strict=True) if not rank]
    assert ten >= 0.85, f"success@10 {ten:.3f} (success@1 {first:.3f}); not found: {missed}"
