"""Libraries of a few homologues whose vectors lie in Milvus."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlcore.retrieval.importer import build
from mlcore.retrieval.vectors import milvus_client
from mlcore.retrieval.vectors.milvus_place import MilvusPlace
from tests.mlcore.retrieval.library_helpers import FakeModel, write_table


def collections(place: MilvusPlace) -> list[str]:
    """The collections that are there."""
    with milvus_client.connection(place) as client:
        return sorted(client.list_collections())


def imported(tmp_path: Path, rows: int = 20, name: str = "lib", **options: Any) -> Path:
    """A library of homologues, built where the environment says."""
    tmp_path.mkdir(exist_ok=True)
    build(write_table(tmp_path / f"{rows}.tsv", rows), tmp_path / name, FakeModel(), workers=1, **options)
    return tmp_path / name
