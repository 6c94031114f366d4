"""Reading files of molecules: formats, encodings, damage, and records that must not disturb their neighbours."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcore.retrieval.readers import open_molecules
from mlcore.retrieval.records import RawRecord
from mlcore.retrieval.sources import Limits
from mlcore.runtime.errors import InputError, LimitError

ETHANOL = """ethanol
  by hand

  3  2  0  0  0  0  0  0  0  0999 V2000
    0.0000    0.0000    0.0000 C   0  0
    1.5000    0.0000    0.0000 C   0  0
    2.2500    1.3000    0.0000 O   0  0
  1  2  1  0
  2  3  1  0
M  END
"""


def records(path: Path, limits: Limits | None = None) -> list[RawRecord]:
    return list(open_molecules(path, limits).records())


def put(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_smiles_file(tmp_path: Path) -> None:
    path = put(
        tmp_path, "a.smi", "# made by hand\nCCO ethanol\n\nc1ccccc1\tbenzene\nCC(=O)O acetic acid\nC\n"
    )
    found = records(path)
    assert [(r.record, r.line, r.structure, r.id, r.name) for r in found] == [
        (1, 2, "CCO", "ethanol", "ethanol"),
        (2, 4, "c1ccccc1", "benzene", "benzene"),
        (3, 5, "CC(=O)O", "", "acetic acid"),
        (4, 6, "C", "", ""),
    ]


def test_smiles_file_with_heading_and_extension(tmp_path: Path) -> None:
    found = records(put(tmp_path, "a.smi", "SMILES name\nC[C@H](N)O |o1:1| either one\n"))
    assert [(r.structure, r.name) for r in found] == [("C[C@H](N)O |o1:1|", "either one")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_table_delimiters(tmp_path: Path, delimiter: str) -> None:
    rows = [["id", "Name", "Canonical SMILES", "Synonyms", "Description"],
            ["m1", "ethanol", "CCO", "alcohol|spirit of wine", "Burns."]]  # fmt: skip
    reader = open_molecules(put(tmp_path, "a.csv", "\n".join(delimiter.join(row) for row in rows)))
    (found,) = reader.records()
    assert reader.format == ("tsv" if delimiter == "\t" else "csv")
    assert reader.columns["structure"] == "Canonical SMILES"
    assert (found.id, found.name, found.structure) == ("m1", "ethanol", "CCO")
    assert found.synonyms == ("alcohol", "spirit of wine")
    assert found.descriptions == ("Burns.",)


def test_isomeric_smiles_win_over_canonical(tmp_path: Path) -> None:
    (found,) = records(put(tmp_path, "a.csv", "canonical_smiles,isomeric_smiles\nCC(O)F,C[C@H](O)F\n"))
    assert found.structure == "C[C@H](O)F"


def test_quoted_cells_over_lines(tmp_path: Path) -> None:
    text = 'smiles,name,sentence\nCCO,"ethanol, pure","Burns\nwith a ""blue"" flame."\nC,methane,\n'
    found = records(put(tmp_path, "a.csv", text))
    assert [(r.line, r.name, r.descriptions) for r in found] == [
        (2, "ethanol, pure", ('Burns with a "blue" flame.',)),
        (4, "methane", ()),
    ]


@pytest.mark.parametrize("after", ['C,methane\nCC,"ethane, gas"\n', "C,methane\nCC,ethane\n"])
def test_an_open_quotation_mark_costs_its_own_row_only(tmp_path: Path, after: str) -> None:
    found = records(put(tmp_path, "a.csv", 'smiles,name\nCCO,"ethanol\n' + after))
    assert [(r.line, r.structure, bool(r.fault)) for r in found] == [
        (2, "", True),
        (3, "C", False),
        (4, "CC", False),
    ]
    assert "quotation mark" in str(found[0].fault)


def test_unquoted_tab_tables_keep_their_quotation_marks(tmp_path: Path) -> None:
    (found,) = records(put(tmp_path, "a.tsv", 'smiles\tname\nCCO\t"spirit" of wine\n'))
    assert found.name == '"spirit" of wine'


def test_table_without_structures_names_its_columns(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'compound', 'weight'") as caught:
        open_molecules(put(tmp_path, "a.csv", "compound,weight\nethanol,46\n"))
    assert caught.value.place == "line 1"
    assert "smiles" in str(caught.value.remedy)


def test_rows_with_too_many_cells_or_no_smiles_are_named(tmp_path: Path) -> None:
    found = records(put(tmp_path, "a.csv", "smiles,name\nCCO,ethanol,extra\n,nothing\nC,methane\n"))
    assert [r.fault for r in found] == [
        "the row has 3 cells, the heading has 2",
        "the cell 'smiles' is empty",
        None,
    ]


def test_sd_file(tmp_path: Path) -> None:
    data = "> <ID>\nE-1\n\n> <SYNONYMS>\nalcohol\nspirit\n\n> <Description>\nIt burns.\n\n$$$$\n"
    reader = open_molecules(put(tmp_path, "a.sdf", ETHANOL + data + ETHANOL.replace("ethanol", "second")))
    first, second = reader.records()
    assert (first.id, first.name, first.synonyms) == ("E-1", "ethanol", ("alcohol", "spirit"))
    assert first.descriptions == ("It burns.",)
    assert first.structure == ETHANOL
    assert (second.record, second.line, second.name) == (2, 22, "second")


def test_a_broken_sd_record_keeps_to_itself(tmp_path: Path) -> None:
    broken = ETHANOL.replace("M  END\n", "")[:120]
    text = f"{ETHANOL}$$$$\n{broken}\n$$$$\n$$$$\n{ETHANOL}$$$$\n"
    found = records(put(tmp_path, "a.sdf", text))
    assert [r.record for r in found] == [1, 2, 3, 4]
    assert found[0].structure == found[3].structure == ETHANOL
    assert found[2].fault == "the record is empty"


def test_windows_line_ends_and_old_mac_ones(tmp_path: Path) -> None:
    for end in ("\r\n", "\r"):
        found = records(put(tmp_path, "a.csv", end.join(["smiles,name", "CCO,ethanol", "C,methane", ""])))
        assert [(r.structure, r.name) for r in found] == [("CCO", "ethanol"), ("C", "methane")]
    found = records(put(tmp_path, "a.sdf", (ETHANOL + "$$$$\n").replace("\n", "\r\n")))
    assert found[0].structure == ETHANOL


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.csv", "CCO ethanol\n", None),
        ("a.sdf", "smiles,name\nCCO,ethanol\n", "csv"),
        ("a.smi", ETHANOL + "$$$$\n", "sdf"),
        ("molecules", "smiles\tname\nCCO\tethanol\n", "tsv"),
        ("molecules", "CCO ethanol\n", "smi"),
    ],
)
def test_content_decides_the_format(tmp_path: Path, name: str, content: str, expected: str | None) -> None:
    path = put(tmp_path, name, content)
    if expected is None:
        with pytest.raises(InputError, match="no column with structures"):
            open_molecules(path)
        return
    reader = open_molecules(path)
    assert reader.format == expected
    assert bool(reader.source.notes) == ("." in name)


def test_gzip_is_recognised_by_content(tmp_path: Path) -> None:
    path = put(tmp_path, "a.csv", gzip.compress(b"smiles\nCCO\n"))
    assert [r.structure for r in records(path)] == ["CCO"]


def test_truncated_gzip_says_where(tmp_path: Path) -> None:
    lines = "smiles,name\n" + "".join(f"{'C' * (n % 60 + 1)},{hash(('x', n))}\n" for n in range(60_000))
    whole = gzip.compress(lines.encode())
    path = put(tmp_path, "a.csv.gz", whole[: len(whole) // 2])
    with pytest.raises(InputError, match="cut off") as caught:
        records(path)
    assert str(caught.value.place).startswith("after line")
    corrupt = bytearray(whole)
    corrupt[len(corrupt) // 2 : len(corrupt) // 2 + 64] = b"\xff" * 64
    with pytest.raises(InputError, match=r"damaged|cut off"):
        records(put(tmp_path, "b.csv.gz", bytes(corrupt)))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_unicode_encodings(tmp_path: Path, encoding: str) -> None:
    text = "smiles,name\nCCO,éthanol\nC,méthane\n" + "CC,éthane\n" * 50
    found = records(put(tmp_path, "a.csv", text.encode(encoding)))
    assert [r.name for r in found[:2]] == ["éthanol", "méthane"]
    assert len(found) == 52


def test_western_european_bytes_are_read_with_a_note(tmp_path: Path) -> None:
    reader = open_molecules(put(tmp_path, "a.csv", "smiles,name\nC,methane\nCCO,éthanol\n".encode("cp1252")))
    assert [r.name for r in reader.records()] == ["methane", "éthanol"]
    assert any("Line 3 is not UTF-8" in note for note in reader.source.notes)


def test_a_null_byte_costs_its_own_row_only(tmp_path: Path) -> None:
    found = records(put(tmp_path, "a.smi", b"CCO ethanol\nC\0C bad\nC methane\n"))
    assert [r.fault for r in found] == [None, "the line contains a null byte", None]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"PK\x03\x04" + bytes(200), "ZIP archive or an Excel"),
        (b"%PDF-1.7\n" + bytes(50), "PDF"),
        (bytes(range(256)) * 20, "not text"),
        (b"", "empty"),
        (b"\n \n\n", "empty"),
    ],
)
def test_files_that_are_no_text(tmp_path: Path, content: bytes, what: str) -> None:
    with pytest.raises(InputError, match=what):
        open_molecules(put(tmp_path, "a.csv", content))


def test_missing_file_and_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.smi", tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            open_molecules(path)


def test_size_limits(tmp_path: Path) -> None:
    path = put(tmp_path, "a.smi", "CCO\n" * 1000)
    with pytest.raises(LimitError, match=r"1\.953 kB are allowed"):
        open_molecules(path, Limits(file_bytes=2000))
    packed = put(tmp_path, "b.smi", gzip.compress(b"CCO\n" * 50_000))
    with pytest.raises(LimitError, match="unpacks to more"):
        records(packed, Limits(text_bytes=100_000))


def test_endless_lines_and_records_stay_bounded(tmp_path: Path) -> None:
    limits = Limits(record_bytes=1000)
    path = put(tmp_path, "a.smi", "C" * 3_000_000 + " huge\nCCO ethanol\n")
    found = records(path, limits)
    assert [bool(r.fault) for r in found] == [True, False]
    assert len(found[0].raw) <= 200
    found = records(put(tmp_path, "a.sdf", "x\n" * 5000 + "$$$$\n" + ETHANOL + "$$$$\n"), limits)
    assert "longer than" in str(found[0].fault)
    assert found[1].structure == ETHANOL


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.smi", "C(C broken\nCCO fine\n"),
        ("a.tsv", "smiles\tname\tnote\nC(C\tbroken\tsee, there\nCCO\tfine\t\n"),
        ("a.csv", 'smiles,name,note\nC(C,"broken, again","a ""b"""\nCCO,fine,\n'),
        ("a.sdf", ETHANOL + "> <NAME>\nspirit\n\n$$$$\n" + ETHANOL + "$$$$\n"),
    ],
)
def test_records_to_mend_are_read_again(tmp_path: Path, name: str, content: str) -> None:
    reader = open_molecules(put(tmp_path, name, content))
    first = next(reader.records())
    for _ in range(2):  # what is mended badly comes back once more
        path = put(tmp_path, f"mend-{name}", reader.mend_header() + reader.mend(first, "atom 2: too\nmuch"))
        reader = open_molecules(path)
        (again,) = reader.records()
        assert (again.structure, again.name) == (first.structure, first.name)
        assert path.read_text().count("atom 2: too much") == 1
        first = again


GOOD = "CCO\tethanol\t"
ROWS = st.lists(
    st.sampled_from([GOOD, '"', 'C\t"x', "C\tx\ty\tz", "\t\t", "\0" + "x" * 99, "é\t\t", 'C\t"a"\tb', "🙂"]),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(rows=ROWS)
def test_every_row_of_garbage_comes_out_once(
    tmp_path_factory: pytest.TempPathFactory, rows: list[str]
) -> None:
    path = put(
        tmp_path_factory.mktemp("rows"), "a.tsv", "smiles\tname\tsentence\n" + "".join(f"{r}\n" for r in rows)
    )
    found = records(path)
    lines = [number for number, row in enumerate(rows, start=2) if row.strip()]
    assert [r.record for r in found] == list(range(1, len(found) + 1))
    assert [r.line for r in found] == lines
    assert sum(r.structure == "CCO" for r in found) == rows.count(GOOD)
