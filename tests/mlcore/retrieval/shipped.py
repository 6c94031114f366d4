"""The shipped model, the catalogue that it ships with, and a searcher over it: loaded once for all tests."""

from __future__ import annotations

import csv
import os
from functools import cache
from pathlib import Path

from mlcore.retrieval.library import Library
from mlcore.retrieval.model import RetrievalModel
from mlcore.retrieval.search import Searcher, SearchRequest

ROOT = Path(__file__).resolve().parents[3]
MODEL = Path(os.environ.get("FERRY_MODELS") or ROOT / "models") / "retrieval"
SOURCES = sorted((ROOT / "mlcore" / "retrieval" / "catalogue").glob("*.tsv"))


@cache
def molecules() -> tuple[dict[str, str], ...]:
    """The rows of the catalogue's source files, each with the name of its ``file``."""
    found = []
    for path in SOURCES:
        with path.open(encoding="utf-8", newline="") as file:
            found.extend({**row, "file": path.name} for row in csv.DictReader(file, delimiter="\t"))
    return tuple(found)


def synonyms(row: dict[str, str]) -> list[str]:
    """The synonyms of a row of the catalogue."""
    return [name for name in row["synonyms"].split("|") if name]


@cache
def searcher() -> Searcher:
    """A warm searcher over the built catalogue."""
    model = RetrievalModel.load(MODEL)
    library = Library.open(MODEL / "catalogue", model_fingerprint=model.fingerprint)
    made = Searcher(model, {library.id: library})
    made.warm()
    return made


def found(text: str, k: int) -> list[str]:
    """The names of the first ``k`` hits for ``text``."""
    return [hit["molecule"]["name"] for hit in searcher().search(SearchRequest(text, k=k))["hits"]]
