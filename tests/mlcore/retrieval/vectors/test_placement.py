"""A library whose vectors lie in Milvus: built, found again, searched like one on FAISS."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from mlcore.retrieval.filters import Filters
from mlcore.retrieval.fusion import Calibration, Fusion
from mlcore.retrieval.importer import build
from mlcore.retrieval.library import Library
from mlcore.retrieval.manifest import check_files
from mlcore.retrieval.search import Searcher, SearchRequest
from mlcore.retrieval.vectors import milvus_client, placement
from mlcore.retrieval.vectors.milvus_place import MilvusPlace
from mlcore.retrieval.vectors.on_milvus import MilvusVectorStore
from mlcore.retrieval.vectors.policy import IndexPolicy
from mlcore.runtime.errors import InputError, LibraryError
from tests.mlcore.retrieval import small
from tests.mlcore.retrieval.library_helpers import FakeModel, write_table
from tests.mlcore.retrieval.vectors.libraries import collections, imported


def test_the_manifest_names_the_collection_and_no_secret(tmp_path, place):
    folder = imported(tmp_path, name="My shelf")
    library = Library.open(folder)
    held = library.manifest["vectors"]
    assert held == {"store": "milvus", "collection": collections(place)[0], "location": place.location}
    assert held["collection"].startswith(f"ferry_my_shelf_{library.fingerprint[:12]}_")
    assert library.manifest["index"] == {"type": "FLAT", "metric": "inner product", "dim": FakeModel.dim}
    assert not {"vectors.faiss", "vectors.npy", placement.LEDGER} & {file.name for file in folder.iterdir()}
    check_files(folder, library.manifest, hashes=True)
    library.close()


def test_it_answers_like_the_same_library_on_faiss(tmp_path, place):
    """Meaning, filters and neighbours, with exact and approximate indexes: the same hits in the same order."""
    source = small.write_table(tmp_path / "small.tsv", small.MOLECULES)
    opened = {}
    for kind, policy in (("exact", IndexPolicy()), ("graph", IndexPolicy(hnsw_from=10))):
        for engine, address in (("faiss", ""), ("milvus", None)):
            folder = tmp_path / f"{kind}-{engine}"
            build(source, folder, small.model(), workers=1, policy=policy, vector_store=address)
            opened[kind, engine] = Library.open(folder)
    assert {key: library.store.kind for key, library in opened.items()} == {
        ("exact", "faiss"): "Flat",
        ("exact", "milvus"): "FLAT",
        ("graph", "faiss"): "HNSW32",
        ("graph", "milvus"): "HNSW",
    }
    fusion = Fusion(total_centre=5.0, total_scale=2.0, sentence_centre=0.5, description_centre=0.5)
    answers = []
    for library in opened.values():
        searcher = Searcher(small.model(), {"small": library}, fusion=fusion, calibration=Calibration())
        requests = [
            SearchRequest("an aromatic acid with nitrogen", k=30),
            SearchRequest("a gas", k=30, filters=Filters(ranges=(("weight", None, 100.0),))),
            SearchRequest("the alcohol of wine", k=30, filters=Filters(elements=("O",))),
        ]
        hits = [searcher.search(request)["hits"] for request in requests]
        hits.append(searcher.neighbours("small", "M001", k=5)["hits"])
        answers.append([[(hit["molecule"]["id"], round(hit["score"], 4)) for hit in each] for each in hits])
    assert all(len(each) >= 5 for each in answers[0])
    assert all(answer == answers[0] for answer in answers)
    indices = np.array([4, 0, 4])
    assert np.allclose(*(opened["exact", engine].vectors(indices) for engine in ("faiss", "milvus")))
    for library in opened.values():
        library.close()


def test_the_library_is_found_where_it_was_written_and_where_it_moved(tmp_path, place, monkeypatch):
    folder = imported(tmp_path)
    monkeypatch.setenv("VECTOR_STORE", "")
    Library.open(folder).close()
    moved = MilvusPlace(f"milvus://{tmp_path / 'moved.db'}")
    shutil.move(tmp_path / "store" / "vectors.db", tmp_path / "moved.db")
    with pytest.raises(LibraryError, match="is not there"):
        Library.open(folder)
    monkeypatch.setenv("VECTOR_STORE", moved.location)
    library = Library.open(folder)
    assert library.nearest(library.vectors([7]), 1)[1][0, 0] == 7
    library.close()
    placement.drop(folder)
    assert collections(moved) == []
    monkeypatch.setenv("VECTOR_STORE", "mysql://host")
    with pytest.raises(LibraryError, match="VECTOR_STORE cannot be used"):
        Library.open(folder)


def test_rows_that_went_missing_in_the_store_are_noticed(tmp_path, place):
    folder = imported(tmp_path)
    store = MilvusVectorStore.open(place, collections(place)[0])
    store.remove(np.array([3]))
    store.close()
    with pytest.raises(LibraryError, match="holds 19 rows, the manifest says 20"):
        Library.open(folder)


def test_a_store_that_cannot_be_used_is_told_before_anything_is_imported(tmp_path, monkeypatch):
    monkeypatch.setattr(milvus_client, "CONNECT_SECONDS", 0.5)
    model = FakeModel()
    source = write_table(tmp_path / "a.tsv", 20)
    for address, fault in (("milvus://127.0.0.1:9", LibraryError), ("redis://host", InputError)):
        with pytest.raises(fault, match="VECTOR_STORE"):
            build(source, tmp_path / "lib", model, workers=1, vector_store=address)
    assert model.batches == []
    assert [path.name for path in tmp_path.iterdir()] == ["a.tsv"]


def test_nothing_to_drop(tmp_path):
    placement.drop(tmp_path / "nowhere")
    folder = imported(tmp_path)
    placement.drop(folder)
    assert Library.open(folder).size == 20
