"""What is exported opens elsewhere and is the same molecule there."""

from __future__ import annotations

import csv
import io

import pytest
from rdkit import Chem

from mlcore.retrieval.export import MOST_ROWS, ExportRow, export, safe_cell
from mlcore.retrieval.rows import MoleculeRow
from mlcore.runtime.errors import InputError, LimitError
from tests.mlcore.retrieval import small


@pytest.fixture(scope="module")
def rows() -> list[ExportRow]:
    library = small.library()
    found = library.rows(range(library.size))
    return [ExportRow("small", row, number, 1 - number / 100) for number, row in enumerate(found, start=1)]


def made(name: str, smiles: str) -> ExportRow:
    row = small.library().row(0)
    changed = {**row.__dict__, "name": name, "smiles": smiles}
    return ExportRow("small", MoleculeRow(**changed), 1, 0.5)


def test_an_sd_file_reads_back_molecule_by_molecule(rows: list[ExportRow]) -> None:
    file = export("sdf", rows, query="all of them")
    assert (file.filename, file.content_type, file.notes) == (
        "ferry-all-of-them.sdf",
        "chemical/x-mdl-sdfile",
        (),
    )
    supplier = Chem.ForwardSDMolSupplier(io.BytesIO(file.data))
    read = list(supplier)
    assert len(read) == len(rows)
    assert file.data.count(b"V2000") == len(rows)
    for molecule, row in zip(read, rows, strict=True):
        assert Chem.MolToInchiKey(molecule) == row.molecule.inchikey
        assert molecule.GetProp("_Name") == row.molecule.name
        assert molecule.GetProp("ID") == row.molecule.id
        assert molecule.GetProp("InChIKey") == row.molecule.inchikey
        assert molecule.GetProp("Query") == "all of them"
        assert float(molecule.GetProp("Score")) == pytest.approx(row.score)
        assert all(abs(xyz) < 100 for atom in molecule.GetConformer().GetPositions() for xyz in atom)


def test_a_csv_reads_back_and_its_numbers_are_numbers(rows: list[ExportRow]) -> None:
    file = export("csv", rows, query="=1+1")
    assert file.data.startswith(b"\xef\xbb\xbf")
    read = list(csv.DictReader(io.StringIO(file.data.decode("utf-8-sig"), newline="")))
    assert len(read) == len(rows)
    for line, row in zip(read, rows, strict=True):
        assert line["Name"] == row.molecule.name
        assert Chem.MolToInchiKey(Chem.MolFromSmiles(line["SMILES"])) == row.molecule.inchikey
        assert float(line["logP"]) == pytest.approx(row.molecule.properties["logp"], abs=1e-3)
        assert line["Query"] == "'=1+1"
        assert line["Synonyms"] == "; ".join(row.molecule.synonyms)


def test_a_smiles_file_reads_back(rows: list[ExportRow]) -> None:
    file = export("smi", rows)
    assert file.filename == "ferry-molecules.smi"
    for line, row in zip(file.data.decode().splitlines(), rows, strict=True):
        smiles, title = line.split("\t")
        assert Chem.MolToInchiKey(Chem.MolFromSmiles(smiles)) == row.molecule.inchikey
        assert title == f"{row.molecule.id} {row.molecule.name}"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", " =1", "|calc", "%0A"])
def test_no_cell_is_run_as_a_formula(text: str) -> None:
    assert safe_cell(text).startswith("'")


@pytest.mark.parametrize("text", ["aspirin", "(+)-menthol", "C=O", "[Na+]", "β-carotene", "1,3-butadiene"])
def test_harmless_cells_stay_as_they_are(text: str) -> None:
    assert safe_cell(text) == text


def test_names_cannot_break_the_file() -> None:
    nasty = [
        made("first\n$$$$\n>  <ID>\nevil", "CCO"),
        made('quote " comma , \x00 end', "c1ccccc1"),
        made("x" * 300, "C"),
    ]
    sdf = list(Chem.ForwardSDMolSupplier(io.BytesIO(export("sdf", nasty).data)))
    assert [Chem.MolToSmiles(molecule) for molecule in sdf] == ["CCO", "c1ccccc1", "C"]
    assert sdf[0].GetProp("ID") == "M001"
    table = list(csv.DictReader(io.StringIO(export("csv", nasty).data.decode("utf-8-sig"), newline="")))
    assert len(table) == 3
    assert export("smi", nasty).data.count(b"\n") == 3


def test_a_thousand_atoms_need_v3000_and_fewer_do_not() -> None:
    file = export("sdf", [made("long", "C" * 1000), made("short", "C" * 900)])
    assert (file.data.count(b"V3000"), file.data.count(b"V2000")) == (1, 1)
    read = list(Chem.ForwardSDMolSupplier(io.BytesIO(file.data)))
    assert [molecule.GetNumAtoms() for molecule in read] == [1000, 900]


def test_what_cannot_be_written_is_told() -> None:
    file = export("sdf", [made("good", "CCO"), made("bad", "C1CC")])
    assert file.data.count(b"$$$$") == 1
    assert file.notes == ("1 of 2 molecules could not be written: M001.",)


def test_limits_and_formats(rows: list[ExportRow]) -> None:
    with pytest.raises(InputError, match="not an export format") as caught:
        export("xlsx", rows)
    assert caught.value.field == "format"
    with pytest.raises(LimitError, match="too many"):
        export("csv", rows[:1] * (MOST_ROWS + 1))
    assert export("csv", []).data.decode("utf-8-sig").startswith("Rank,Score,Library,ID,Name,SMILES")


@pytest.mark.parametrize(
    ("rank", "score", "field"),
    [(0, 0.5, "rank"), (-3, None, "rank"), (1, 1.01, "score"), (1, -0.1, "score"), (1, float("nan"), "score"),
     (None, float("inf"), "score")],
)  # fmt: skip
def test_numbers_no_search_can_give_are_refused(rank: int | None, score: float | None, field: str) -> None:
    with pytest.raises(InputError) as caught:
        export("csv", [ExportRow("small", small.library().row(0), rank, score)])
    assert caught.value.field == field
    assert caught.value.remedy
