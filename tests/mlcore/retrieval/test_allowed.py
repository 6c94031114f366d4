"""Rows that pass: columns by hand, substructures and similarity as RDKit says, and no longer than the time allows."""

from __future__ import annotations

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator
from rdkit.DataStructs import TanimotoSimilarity

from mlcore.retrieval.allowed import contains, evaluate
from mlcore.retrieval.filters import Filters
from mlcore.retrieval.shelf import Shelf
from mlcore.retrieval.structure import read_pattern, read_structure, tanimoto
from tests.mlcore.retrieval import small


@pytest.fixture(scope="module")
def shelf() -> Shelf:
    return Shelf(small.library())


def passing(shelf: Shelf, **parameters: str) -> set[str]:
    rows = evaluate(Filters.parse(parameters), shelf).rows
    rows = np.arange(shelf.size) if rows is None else rows
    return {row.name for row in shelf.library.rows(rows)}


def expected(pattern: str) -> set[str]:
    query = Chem.MolFromSmarts(pattern)
    return {
        name for name, _, smiles, *_ in small.MOLECULES if Chem.MolFromSmiles(smiles).HasSubstructMatch(query)
    }


def test_nothing_asked_lets_everything_through(shelf: Shelf) -> None:
    assert evaluate(Filters(), shelf).mask is None
    assert not Filters.parse({"q": "aspirin", "weight_min": "", "page": "2"})


@pytest.mark.parametrize(
    ("parameters", "names"),
    [
        ({"weight_min": "180", "weight_max": "180.2"}, {"aspirin", "theobromine"}),
        ({"mass": "180.0423", "mass_tolerance": "5ppm"}, {"aspirin"}),
        ({"mass": "180.05", "mass_tolerance": "0.02 Da"}, {"aspirin", "theobromine"}),
        ({"mass": "180.0423", "mass_tolerance": "20 mDa"}, {"aspirin"}),
        ({"charge_min": "1"}, {"ammonium"}),
        ({"stereocentres_min": "3"}, {"menthol"}),
        ({"elements": "Cl"}, {"sodium chloride", "chlorobenzene"}),
        ({"elements": "cl,na"}, {"sodium chloride"}),
        ({"only": "C O", "heavy_atoms_max": "3"}, {"carbon monoxide", "carbon dioxide"}),
        ({"only": "C,H,O", "without": "H"}, {"carbon monoxide", "carbon dioxide"}),
        ({"category": "Amino Acid"}, {"L-alanine", "D-alanine", "glycine"}),
        ({"category": "ion,metal"}, {"ammonium", "cyanocobalt"}),
        ({"rings_min": "2", "logp_max": "1", "weight_max": "300"}, {"caffeine", "theobromine"}),
        ({"elements": "U"}, set()),
    ],
)
def test_columns(shelf: Shelf, parameters: dict[str, str], names: set[str]) -> None:
    assert passing(shelf, **parameters) == names


@pytest.mark.parametrize(
    "pattern",
    ["c1ccccc1", "[OX2H]", "C(=O)[OX2H1]", "[#7]", "[R2]", "[r6]", "[#6]~[#8]", "[!#6;!#1]", "C=C", "[CX4;^3]", "[Co]",
     "*",
     "[$([OX2H]-C=O)]", "c-c", "[nH]", "[+]"],
)  # fmt: skip
def test_substructures_agree_with_rdkit(shelf: Shelf, pattern: str) -> None:
    assert passing(shelf, substructure=pattern) == expected(pattern)


def test_stereo_of_a_pattern_is_compared_unless_ignored(shelf: Shelf) -> None:
    filters = Filters.parse({"substructure": "C[C@H](N)C(=O)O"})
    named = {
        stereo: {row.name for row in shelf.library.rows(evaluate(filters, shelf, stereo=stereo).rows)}
        for stereo in (True, False)
    }
    assert named == {True: {"L-alanine"}, False: {"L-alanine", "D-alanine"}}


def test_similarity_is_rdkits(shelf: Shelf) -> None:
    make = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    bits = make.GetFingerprint(Chem.MolFromSmiles("Oc1ccccc1"))
    molecules = [Chem.MolFromSmiles(smiles) for _, _, smiles, *_ in small.MOLECULES]
    rdkits = [TanimotoSimilarity(bits, make.GetFingerprint(molecule)) for molecule in molecules]
    ours = tanimoto(np.asarray(shelf.library.fingerprints()), read_structure("Oc1ccccc1").morgan)
    np.testing.assert_allclose(ours, rdkits, atol=1e-6)
    close = {entry[0] for entry, value in zip(small.MOLECULES, rdkits, strict=True) if value >= 0.3}
    assert passing(shelf, similar_to="Oc1ccccc1", similarity="0.3") == close
    assert "phenol" in close


def test_all_filters_together(shelf: Shelf) -> None:
    found = passing(
        shelf, substructure="[OX2H]", weight_max="160", logp_min="0", without="N", category="terpene"
    )
    assert found == {"geraniol", "nerol", "menthol"}


def test_a_bomb_gives_a_partial_answer_in_time(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlcore.retrieval.allowed._CHUNKS", (4,))
    pattern = read_pattern("[$([$([#6])])]" + "~*" * 3)
    slow = contains(pattern, shelf, seconds=0.0)
    assert slow.unchecked > 0
    assert f"{slow.unchecked:,} molecules were not checked" in slow.notes[0]
    assert slow.count(shelf.size) == 0
    whole = contains(pattern, shelf)
    assert not whole.notes
    assert whole.count(shelf.size) > 10
