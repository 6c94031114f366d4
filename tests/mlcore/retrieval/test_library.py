"""An opened library: rows, neighbours, encodings, names, and refusals of what is damaged or not its own."""

from __future__ import annotations

import json
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem

from mlcore.retrieval import descriptors
from mlcore.retrieval.library import Library, build
from mlcore.retrieval.manifest import check_files
from mlcore.retrieval.rows import PROPERTIES, fold
from mlcore.retrieval.vectors.policy import IndexPolicy
from mlcore.runtime.errors import LibraryError
from tests.mlcore.retrieval.library_helpers import DIM, FakeModel, unit, write_table

TABLE = """id,smiles,name,synonyms,description,category
ASA,CC(=O)Oc1ccccc1C(=O)O,aspirin,acetylsalicylic acid|ASA,Eases pain.,drug
ASN,CC(=O)Oc1ccccc1C(=O)[O-].[Na+],sodium aspirin,,A salt of a pain killer.,drug
ETH,CCO,ethanol,alcohol|EtOH,Burns with a blue flame.,solvent
LMN,CC1=CC[C@@H](CC1)C(C)=C,limonene,,Smells of oranges.,scent
,C[Pt]C,,,,
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("library")
    source = where / "shelf.csv"
    source.write_text(TABLE)
    build(source, where / "My Shelf", FakeModel(), name="My shelf", workers=1)
    return where / "My Shelf"


@pytest.fixture(scope="module")
def library(folder: Path) -> Library:
    return Library.open(folder, model_fingerprint="a" * 64)


def test_identity(library: Library) -> None:
    assert (library.id, library.name, library.size, len(library)) == ("my-shelf", "My shelf", 5, 5)
    assert library.manifest["index"] == {"type": "Flat", "metric": "inner product", "dim": DIM}
    assert library.manifest["source"]["file"] == "shelf.csv"
    assert len(library.fingerprint) == 64
    check_files(library.folder, library.manifest, hashes=True)


def test_rows(library: Library) -> None:
    row = library.row(library.index_of("ASA"))
    assert (row.name, row.smiles, row.category) == ("aspirin", "CC(=O)Oc1ccccc1C(=O)O", "drug")
    assert row.synonyms == ("acetylsalicylic acid", "ASA")
    assert row.descriptions == ("Eases pain.",)
    assert row.inchikey == "BSYNRYMUTXBXSQ-UHFFFAOYSA-N"
    assert row.source == "shelf.csv, line 2"
    assert set(row.properties) == set(PROPERTIES)
    assert row.properties["rings"] == 1
    salt = library.row(1)
    assert salt.standard_smiles == row.smiles
    assert salt.parent_inchikey == row.inchikey
    assert salt.standardisation == ("removed the counter-ion sodium", "neutralised")
    assert library.row(4).id == library.row(4).inchikey  # no id, no name: the InChIKey stands for them
    assert [r.id for r in library.rows(np.array([2, 0, 2]))] == ["ETH", "ASA", "ETH"]


def test_what_is_not_there(library: Library) -> None:
    with pytest.raises(IndexError, match="row 5"):
        library.rows([0, 5])
    with pytest.raises(KeyError, match="no molecule with the id 'XYZ'"):
        library.index_of("XYZ")


def test_nearest_and_allowed(library: Library) -> None:
    scores, found = library.nearest(library.vectors([3]), 3)
    assert found[0, 0] == 3
    assert scores[0, 0] == pytest.approx(1, abs=1e-5)
    _, found = library.nearest(library.vectors([3]), 3, np.array([0, 1]))
    assert sorted(found[0]) == [0, 1]


def test_encoding_is_that_of_the_model(library: Library) -> None:
    chosen = [3, 0]
    found = library.encoding(chosen)
    expected = FakeModel().encode_molecules([Chem.MolFromSmiles(library.row(i).smiles) for i in chosen])
    assert np.array_equal(found.motif_offsets, expected.motif_offsets)
    assert np.array_equal(found.atom_offsets, expected.atom_offsets)
    assert np.allclose(found.vectors, expected.vectors)
    assert np.abs(found.motifs - expected.motifs).max() < 0.005
    assert np.abs(found.atoms - expected.atoms).max() < 0.005
    assert len(library.encoding([])) == 0


def test_fingerprints_belong_to_the_rows(library: Library) -> None:
    for index in range(library.size):
        mol = Chem.MolFromSmiles(library.row(index).smiles)
        assert np.array_equal(library.fingerprints()[index], descriptors.morgan_bits(mol))
        assert np.array_equal(library.pattern_fingerprints()[index], descriptors.pattern_bits(mol))


def test_description_vectors_and_their_owners(library: Library) -> None:
    vectors, owners = library.description_vectors
    assert owners.tolist() == [0, 1, 2, 3]
    assert np.allclose(vectors[2], unit("Burns with a blue flame.", DIM))


def test_names_elements_and_properties_in_sql(library: Library) -> None:
    sql = library.sql()
    found = sql.execute(
        "SELECT row FROM synonyms WHERE folded = ?", (fold("Acetyl-salicylic ACID"),)
    ).fetchall()
    assert found == [(0,)]
    sodium = sql.execute("SELECT row FROM elements WHERE symbol = 'Na' AND count >= 1").fetchall()
    assert sodium == [(1,)]
    plan = sql.execute("EXPLAIN QUERY PLAN SELECT idx FROM rows WHERE logp BETWEEN 1 AND 2").fetchall()
    assert "rows_logp" in str(plan)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        sql.execute("DELETE FROM rows")


@pytest.mark.parametrize(
    ("name", "folded"),
    [
        ("(-)-Menthol", "menthol"),
        ("2,4'-DDT", "24'ddt"),
        ("Café", "cafe"),
        ("β-carotene", "βcarotene"),
        ("H-+", "h"),
        ("+", "+"),
    ],
)
def test_folded_names(name: str, folded: str) -> None:
    assert fold(name) == folded


def test_another_model_is_refused_with_the_remedy(folder: Path) -> None:
    with pytest.raises(LibraryError, match=r"another model .*python -m mlcore index .*shelf\.csv"):
        Library.open(folder, model_fingerprint="b" * 64)


def test_missing_damaged_and_outdated_folders(tmp_path: Path) -> None:
    source = write_table(tmp_path / "a.tsv", 12)

    def fresh() -> Path:
        build(source, tmp_path / "lib", FakeModel(), resume=False, workers=1)
        return tmp_path / "lib"

    with pytest.raises(LibraryError, match="There is no library"):
        Library.open(tmp_path / "nowhere")
    (fresh() / "atoms.npy").unlink()
    with pytest.raises(LibraryError, match=r"lacks its file atoms\.npy"):
        Library.open(tmp_path / "lib")
    with (fresh() / "vectors.faiss").open("ab") as file:
        file.write(b"x")
    with pytest.raises(LibraryError, match=r"damaged: vectors\.faiss has"):
        Library.open(tmp_path / "lib")
    path = fresh() / "morgan.npy"
    path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(LibraryError, match="damaged"):
        Library.open(tmp_path / "lib")
    manifest = json.loads((fresh() / "manifest.json").read_text())
    for change, message in (({"schema_version": 99}, "format 99"), ({"rows": 7}, "the manifest says 7")):
        (tmp_path / "lib" / "manifest.json").write_text(json.dumps({**manifest, **change}))
        with pytest.raises(LibraryError, match=message):
            Library.open(tmp_path / "lib")
    (tmp_path / "lib" / "manifest.json").write_text("{")
    with pytest.raises(LibraryError, match="cannot be read"):
        Library.open(tmp_path / "lib")


def test_bytes_that_changed_are_found_by_the_full_check(tmp_path: Path) -> None:
    build(write_table(tmp_path / "a.tsv", 12), tmp_path / "lib", FakeModel(), workers=1)
    library = Library.open(tmp_path / "lib")
    path = tmp_path / "lib" / "atoms.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    check_files(library.folder, library.manifest)
    with pytest.raises(LibraryError, match=r"atoms\.npy was changed"):
        check_files(library.folder, library.manifest, hashes=True)


def test_large_libraries_get_a_graph(tmp_path: Path) -> None:
    source = write_table(tmp_path / "a.tsv", 150)
    build(source, tmp_path / "lib", FakeModel(), workers=1, policy=IndexPolicy(hnsw_from=100))
    library = Library.open(tmp_path / "lib")
    assert library.manifest["index"]["type"] == "HNSW32"
    assert [int(library.nearest(library.vectors([i]), 1)[1][0, 0]) for i in (0, 77, 149)] == [0, 77, 149]


def test_readers_are_undisturbed_by_a_swap(tmp_path: Path) -> None:
    """Eight threads read one library while others take its place; each keeps reading what it opened."""
    small, large = write_table(tmp_path / "a.tsv", 20), write_table(tmp_path / "b.tsv", 40)
    out = tmp_path / "lib"
    build(small, out, FakeModel(), workers=1)
    library = Library.open(out)
    stop = threading.Event()

    def read(seed: int) -> int:
        random, count = np.random.default_rng(seed), 0
        while not stop.is_set() or count < 20:
            index = int(random.integers(20))
            row = library.row(index)
            assert library.index_of(row.id) == index
            assert library.nearest(library.vectors([index]), 1)[1][0, 0] == index
            assert len(library.encoding([index])) == 1
            again = Library.open(out)
            assert again.size in (20, 40)
            again.close()
            count += 1
        return count

    with ThreadPoolExecutor(8) as threads:
        readers = [threads.submit(read, seed) for seed in range(8)]
        try:
            for source in (large, small, large):
                build(source, out, FakeModel(), workers=1)
        finally:
            stop.set()
        assert min(reader.result() for reader in readers) >= 20
    assert Library.open(out).size == 40
    assert library.size == 20
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tsv", "b.tsv", "lib"]
