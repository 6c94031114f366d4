"""The built-in catalogue: its source ships with the code, its index with every model."""

from __future__ import annotations

import csv
import re
import tempfile
import unicodedata
from pathlib import Path
from typing import Any

from django.conf import settings

from workers import science
from workers.errors import translated

NAME = "Catalogue"
SOURCE = "Ferry's catalogue"
COLUMNS = ("id", "name", "synonyms", "smiles", "category", "description", "source")


def folder_of(model: Path) -> Path:
    """Where the built catalogue of a model lies: beside its weights, or under FERRY_DATA if those are read-only."""
    shipped = model / "catalogue"
    if (shipped / "manifest.json").exists():
        return shipped
    return settings.FERRY_DATA / "catalogues" / model.resolve().name / "catalogue"


def missing(model: Path) -> bool:
    """Whether the catalogue of this model still has to be built."""
    return not (folder_of(model) / "manifest.json").exists()


def build(model: Path, progress: Any = None, out: Path | None = None) -> Path:
    """Build the catalogue for the model in this folder; the folder made (``model``/catalogue unless ``out``)."""
    from mlcore.retrieval.library import build as build_library

    out = out or model / "catalogue"
    with translated(), tempfile.TemporaryDirectory(dir=settings.FERRY_DATA) as scratch:
        source = Path(scratch) / "catalogue.tsv"
        write_source(source)
        loaded = science.load_model(model)
        build_library(source, out, loaded, name=NAME, progress=progress, resume=False, vector_store="")
    return out


def write_source(path: Path) -> int:
    """All files of the catalogue as one table with an id for every molecule, made from its name; how many there are."""
    taken: dict[str, int] = {}
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, delimiter="\t", lineterminator="\n")
        out.writerow(COLUMNS)
        for part in sorted(settings.FERRY_CATALOGUE.glob("*.tsv")):
            with part.open(encoding="utf-8", newline="") as rows:
                for row in csv.DictReader(rows, delimiter="\t"):
                    out.writerow(_line(row, taken))
    return sum(taken.values())


def _line(row: dict[str, str], taken: dict[str, int]) -> list[str]:
    plain = unicodedata.normalize("NFKD", row["name"]).encode("ascii", "ignore").decode().lower()
    stem = re.sub(r"[^a-z0-9]+", "-", plain).strip("-") or "molecule"
    taken[stem] = taken.get(stem, 0) + 1
    identifier = stem if taken[stem] == 1 else f"{stem}-{taken[stem]}"
    return [
        identifier,
        *(row[name] for name in ("name", "synonyms", "smiles", "category")),
        row["sentence"],
        SOURCE,
    ]
