"""Whether an answer is there: what the shipped model says of the shipped catalogue, on queries it was not fitted to.

The answers of ``lay_queries.tsv`` are in the catalogue. Those of ``absent_queries.tsv`` are not: descriptions of
well-known substances that it does not hold (``absent`` names them), then sentences that are about no substance.

    python -m pytest -s tests/mlcore/retrieval/test_verdict.py
"""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

import pytest

from mlcore.retrieval.calibrate import read_lay
from mlcore.retrieval.reliability import Confusion, confusion_table, count
from mlcore.retrieval.search import SearchRequest
from tests.mlcore.retrieval import shipped

DATA = shipped.ROOT / "tests" / "data"
TUNING = shipped.ROOT / "mlcore" / "retrieval" / "tuning"
RIGHT, LATER, ABSENT, OFF_TOPIC = "right answer first", "right answer later", "substance", "no substance"


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


@cache
def confusion() -> dict[str, Confusion]:
    """What is said of each kind of query, as the pages say it."""
    said: dict[str, list[str]] = {RIGHT: [], LATER: [], ABSENT: [], OFF_TOPIC: []}
    for text, accepted in read_lay(DATA / "lay_queries.tsv"):
        answer = shipped.searcher().search(SearchRequest(text, k=1))
        first = answer["hits"][0]["molecule"]["name"]
        said[RIGHT if first in accepted else LATER].append(answer["verdict"]["level"])
    for row in rows(DATA / "absent_queries.tsv"):
        answer = shipped.searcher().search(SearchRequest(row["query"], k=1))
        said[ABSENT if row["absent"] else OFF_TOPIC].append(answer["verdict"]["level"])
    found = {
        kind: count(kind, "there" if kind in (RIGHT, LATER) else "not there", levels)
        for kind, levels in said.items()
    }
    print(f"\n{confusion_table(list(found.values()))}")
    return found


def test_nothing_that_is_called_absent_is_in_the_catalogue() -> None:
    given = rows(DATA / "absent_queries.tsv")
    known = {name.casefold() for row in shipped.molecules() for name in (row["name"], *shipped.synonyms(row))}
    absent = [name.casefold() for row in given for name in row["absent"].split("|") if name]
    assert not known & set(absent)
    assert sum(bool(row["absent"]) for row in given) >= 60
    assert len({row["query"].casefold() for row in given}) == len(given)


def test_the_queries_are_not_those_that_the_verdict_was_fitted_to() -> None:
    fitted = {
        text.casefold() for name in ("lay", "absent") for text, _ in read_lay(TUNING / f"{name}_queries.tsv")
    }
    asked = {
        row["query"].casefold() for name in ("lay", "absent") for row in rows(DATA / f"{name}_queries.tsv")
    }
    assert not fitted & asked


@pytest.mark.parametrize(("kind", "most"), [(ABSENT, 0.1), (OFF_TOPIC, 0.08)])
def test_what_is_not_there_is_seldom_called_found(kind: str, most: float) -> None:
    assert confusion()[kind].share("found") <= most, confusion()[kind]


@pytest.mark.parametrize(("kind", "least"), [(ABSENT, 0.35), (OFF_TOPIC, 0.5)])
def test_much_of_what_is_not_there_is_called_absent(kind: str, least: float) -> None:
    assert confusion()[kind].share("absent") >= least, confusion()[kind]


def test_what_is_there_is_seldom_called_absent() -> None:
    assert confusion()[RIGHT].share("absent") <= 0.1, confusion()[RIGHT]
    there = [confusion()[kind] for kind in (RIGHT, LATER)]
    assert sum(each.absent for each in there) / sum(each.queries for each in there) <= 0.18, there


def test_a_right_first_hit_is_often_called_found_and_a_wrong_one_seldom() -> None:
    assert confusion()[RIGHT].share("found") >= 0.4, confusion()[RIGHT]
    assert confusion()[LATER].share("found") <= 0.25, confusion()[LATER]
