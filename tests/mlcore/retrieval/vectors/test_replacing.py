"""Collections end with their library: rebuilt, killed half-way, deleted."""

from __future__ import annotations

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from mlcore.retrieval.library import Library
from mlcore.retrieval.vectors import placement
from mlcore.runtime.errors import LibraryError
from tests.mlcore.retrieval.library_helpers import FakeModel
from tests.mlcore.retrieval.vectors.libraries import collections, imported


def test_a_rebuilt_library_leaves_nothing_of_the_old_one(tmp_path, place, monkeypatch):
    """The old collection outlives the swap by the grace, so that searches under way end well."""
    folder = imported(tmp_path)
    old = Library.open(folder)
    before = collections(place)
    seen = []

    def wait(seconds: float) -> None:
        seen.append((seconds, len(collections(place)), int(old.nearest(old.vectors([3]), 1)[1][0, 0])))

    with monkeypatch.context() as patch:
        patch.setattr(placement, "time", SimpleNamespace(sleep=wait))
        imported(tmp_path, 40)
    assert seen == [(0.0, 2, 3)]
    after = collections(place)
    assert len(after) == 1
    assert after != before
    with pytest.raises(LibraryError, match="did not do what was asked"):
        old.nearest(np.ones((1, FakeModel.dim), np.float32), 1)
    old.close()
    new = Library.open(folder)
    assert (new.size, new.manifest["vectors"]["collection"]) == (40, after[0])
    new.close()
    imported(tmp_path, 40, resume=False)
    assert collections(place) != after, "equal content is a collection of its own too"
    imported(tmp_path, 20, vector_store="")
    assert collections(place) == []
    assert Library.open(folder).store.kind == "Flat"
    assert not (folder / placement.LEDGER).exists()


def test_two_equal_libraries_do_not_share(tmp_path, place):
    first, second = imported(tmp_path / "a"), imported(tmp_path / "b")
    assert len(collections(place)) == 2
    placement.drop(first)
    placement.drop(first)
    assert len(collections(place)) == 1
    library = Library.open(second)
    assert library.nearest(library.vectors([5]), 1)[1][0, 0] == 5
    library.close()
    with pytest.raises(LibraryError, match="has no collection"):
        Library.open(first)


def test_what_a_killed_build_began_is_dropped_by_the_next(tmp_path, place, monkeypatch):
    """The collection is in Milvus, the manifest is not yet there: continued, begun anew, or given up."""

    def killed(*_arguments: object) -> None:
        raise KeyboardInterrupt

    def half() -> None:
        with monkeypatch.context() as patch:
            patch.setattr("mlcore.retrieval.building.manifest.write_manifest", killed)
            with pytest.raises(KeyboardInterrupt):
                imported(tmp_path)

    half()
    assert len(collections(place)) == 1
    half()
    folder = tmp_path / "lib.building"
    assert sorted(record["collection"] for record in json.loads((folder / placement.LEDGER).read_text())) == (
        collections(place)
    )
    imported(tmp_path)
    assert len(collections(place)) == 1
    half()
    imported(tmp_path, resume=False)
    assert len(collections(place)) == 1
    half()
    placement.drop(folder)
    shutil.rmtree(folder)
    library = Library.open(tmp_path / "lib")
    assert collections(place) == [library.manifest["vectors"]["collection"]]
    library.close()


def test_one_killed_between_swap_and_drop_leaves_a_list(tmp_path, place, monkeypatch):
    imported(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(placement, "drop_replaced", lambda _folder: None)
        imported(tmp_path, 40)
    assert len(collections(place)) == 2
    assert (tmp_path / "lib" / placement.LEDGER).exists()
    imported(tmp_path)
    assert len(collections(place)) == 1
    assert not (tmp_path / "lib" / placement.LEDGER).exists()
