"""Importing: counts that close, duplicates, kills, full disks, molecules that hang or crash their reader."""

from __future__ import annotations

import argparse
import gzip
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import types
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rdkit import Chem

from mlcore.retrieval import cli_index
from mlcore.retrieval.building import Building
from mlcore.retrieval.importer import ImportReport, build
from mlcore.retrieval.library import Library
from mlcore.retrieval.pool import Failure, WorkerPool
from mlcore.retrieval.report import Refusal
from mlcore.retrieval.sources import Limits
from mlcore.runtime.errors import InputError, LibraryError, ModelError
from mlcore.runtime.progress import NullProgress
from tests.mlcore.retrieval.library_helpers import FakeModel, FeaturisingModel, homologues, odd, write_table

ROOT = Path(__file__).parents[3]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def contents(folder: Path) -> dict[str, bytes]:
    """The arrays of a library and its rows, for comparing two builds."""
    found = {
        path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".npy", ".faiss", ".tsv")
    }
    with sqlite3.connect(folder / "rows.sqlite") as database:
        for table in ("rows", "synonyms", "descriptions", "elements", "refusals"):
            found[table] = repr(sorted(database.execute(f"SELECT * FROM {table}"))).encode()
    database.close()
    return found


def test_counts_close_and_the_dry_run_agrees(tmp_path: Path) -> None:
    source = write_table(tmp_path / "a.tsv", 100)
    dry = build(source, tmp_path / "lib", None, dry_run=True, workers=1)
    assert names(tmp_path) == ["a.tsv"]
    wet = build(source, tmp_path / "lib", FakeModel(), workers=1, commit_every=32)
    for report in (dry, wet):
        assert (report.read, report.used, report.refused, report.duplicates) == (114, 100, 10, 4)
        assert report.sentence() == "114 read: 100 used, 4 duplicates, 10 refused"
        assert report.refusals[0] == Refusal(
            12, 11, "atom 1: carbon with 5 bonds", "C(C)(C)(C)(C)C\tbad 10\t"
        )
    assert dry.refused_file is None
    assert names(tmp_path) == ["a.tsv", "lib"]
    assert wet.refused_file == tmp_path / "lib" / "refused.tsv"
    mended = tmp_path / "mended.tsv"
    mended.write_text(wet.refused_file.read_text().replace("C(C)(C)(C)(C)C", "C(C)(C)(C)C"))
    again = build(mended, tmp_path / "again", FakeModel(), workers=1)
    assert (again.read, again.used, again.duplicates) == (10, 1, 9)


def test_the_file_to_mend_of_a_dry_run_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    class Stops:
        stopping = False

        def update(self, done: int, total: int | None = None, **metrics: float) -> None:
            self.stopping = True

        def log(self, text: str) -> None: ...

    source, mend = write_table(tmp_path / "a.tsv", 100), tmp_path / "mend.tsv"
    options = {"dry_run": True, "workers": 1, "refused_file": mend, "commit_every": 32}
    mend.write_text("of an earlier look")
    stopped = build(source, tmp_path / "lib", None, progress=Stops(), **options)
    assert (stopped.finished, stopped.refused > 0) == (False, True)
    assert names(tmp_path) == ["a.tsv", "mend.tsv"]
    assert mend.read_text() == "of an earlier look"
    report = build(source, tmp_path / "lib", None, **options)
    assert names(tmp_path) == ["a.tsv", "mend.tsv"]
    assert report.refused_file == mend
    assert mend.read_text().count("carbon with 5 bonds") == report.refused == 10
    source.write_text("smiles\nCCO\n")
    assert build(source, tmp_path / "lib", None, **options).refused_file is None
    assert names(tmp_path) == ["a.tsv"]


def test_a_report_whose_counts_do_not_close_cannot_be_made() -> None:
    with pytest.raises(AssertionError, match="do not add up"):
        ImportReport(10, 5, 2, 2, (), None, True, True, "smi")


def test_duplicates_bring_their_names_and_texts(tmp_path: Path) -> None:
    source = tmp_path / "a.csv"
    source.write_text(
        "id,smiles,name,synonyms,description\n"
        "A1,CCO,,,\nB2,OCC,ethanol,EtOH,Burns.\nC3,C(O)C,spirit,EtOH,Burns.\nD4,NCC(=O)O,glycine,,\n"
        "D5,[NH3+]CC(=O)[O-],glycine zwitterion,,\nB2,CCN,ethylamine,,\n"
    )
    for commit_every in (1, 100):
        report = build(
            source, tmp_path / "lib", FakeModel(), workers=1, commit_every=commit_every, resume=False
        )
        assert (report.used, report.duplicates) == (4, 2)
        library = Library.open(tmp_path / "lib")
        row = library.row(0)
        assert (row.id, row.name) == ("A1", "A1")
        assert set(row.synonyms) == {"ethanol", "EtOH", "spirit", "B2", "C3"}
        assert row.descriptions == ("Burns.",)
        assert row.source == "a.csv, line 2; a.csv, line 3; a.csv, line 4"
        assert library.row(1).inchikey == library.row(2).inchikey  # a zwitterion is a row of its own
        assert library.row(3).id == "B2"
        assert len(library.description_vectors[0]) == 1


def test_ids_that_stand_for_several_molecules_are_numbered(tmp_path: Path) -> None:
    source = tmp_path / "a.csv"
    source.write_text("id,smiles\nX,C\nX,CC\nX,CCC\nX,C\n")
    report = build(source, tmp_path / "lib", FakeModel(), workers=1, commit_every=2)
    library = Library.open(tmp_path / "lib")
    assert [row.id for row in library.rows(range(3))] == ["X", "X-2", "X-3"]
    assert "2 ids stood for more than one molecule and were numbered." in report.notes


def test_formats_give_the_same_library(tmp_path: Path) -> None:
    chosen = homologues(20)
    (tmp_path / "a.smi").write_text(
        "".join(f"{smiles} {name.replace(' ', '_')}\n" for smiles, name in chosen)
    )
    with gzip.open(tmp_path / "a.sdf.gz", "wt") as file:
        for smiles, name in chosen:
            mol = Chem.MolFromSmiles(smiles)
            mol.SetProp("_Name", name.replace(" ", "_"))
            file.write(Chem.MolToMolBlock(mol) + "\n$$$$\n")
    rows = []
    for name in ("a.smi", "a.sdf.gz"):
        build(tmp_path / name, tmp_path / "lib", FakeModel(), workers=1)
        rows.append([(r.id, r.inchikey, r.weight) for r in Library.open(tmp_path / "lib").rows(range(20))])
    assert rows[0] == rows[1]


def test_nothing_usable_leaves_nothing(tmp_path: Path) -> None:
    source = tmp_path / "a.smi"
    source.write_text("C(C broken\n")
    with pytest.raises(InputError, match=r"None of the 1 records .*record 1, line 1: a parenthesis"):
        build(source, tmp_path / "lib", FakeModel(), workers=1)
    source.write_text("# only a remark\n")
    with pytest.raises(InputError, match="holds no molecules"):
        build(source, tmp_path / "lib", FakeModel(), workers=1)
    assert names(tmp_path) == ["a.smi"]


def test_a_truncated_file_leaves_the_old_library(tmp_path: Path) -> None:
    build(write_table(tmp_path / "a.tsv", 30), tmp_path / "lib", FakeModel(), workers=1)
    before = contents(tmp_path / "lib")
    random = np.random.default_rng(0)
    rows = [f"{smiles}\t{name}\t{random.bytes(1000).hex()}\n" for smiles, name in homologues(20) * 50]
    whole = gzip.compress(("smiles\tname\tnote\n" + "".join(rows)).encode())
    (tmp_path / "b.tsv.gz").write_bytes(whole[: len(whole) - 200])
    with pytest.raises(InputError, match="cut off"):
        build(tmp_path / "b.tsv.gz", tmp_path / "lib", FakeModel(), commit_every=64)
    assert contents(tmp_path / "lib") == before
    assert names(tmp_path) == ["a.tsv", "b.tsv.gz", "lib"]


def test_limits_refuse_the_molecule_not_the_file(tmp_path: Path) -> None:
    source = tmp_path / "a.smi"
    source.write_text(f"CCO ethanol\n{'C' * 10_000} giant\n{'C' * 60} chain\nCCN ethylamine\n")
    report = build(source, tmp_path / "lib", FakeModel(), workers=1, limits=Limits(atoms=50))
    assert [r.reason for r in report.refusals] == [
        "it has 10,000 atoms; at most 50 are allowed",
        "it has 60 atoms; at most 50 are allowed",
    ]
    assert all(len(r.raw) <= 500 for r in report.refusals)
    assert Library.open(tmp_path / "lib").size == 2


def test_workers_that_hang_crash_or_starve_cost_one_item() -> None:
    items = [("say", "a"), ("spin", ""), ("say", "b"), ("crash", ""), ("eat", ""), ("say", "c")]
    with WorkerPool(odd, workers=2, seconds=0.5) as pool:
        answers = [answers for _, answers in pool.map([(0, items), (1, items[:1])], ahead=2)]
    assert answers[1] == ["A"]
    took, crashed = answers[0][1], answers[0][3]
    assert answers[0] == ["A", took, "B", crashed, "hungry", "C"]
    assert took.reason.startswith("it took more than")
    assert crashed == Failure("it made RDKit fail")


def test_a_worker_that_sleeps_is_noticed_and_closing_does_not_wait() -> None:
    with WorkerPool(odd, workers=1, seconds=0.3) as pool:
        ((_, answers),) = pool.map([(0, [("sleep", ""), ("say", "a")])], ahead=1)
        assert answers == [Failure("it took more than 1.2 seconds"), "A"]
    pool = WorkerPool(odd, workers=1, seconds=600)
    next(pool.map([(0, [("say", "a")]), (1, [("sleep", "")])], ahead=2))
    closing = threading.Thread(target=pool.close, daemon=True)
    closing.start()
    closing.join(120)
    assert not closing.is_alive()


def test_a_function_that_workers_cannot_load_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = types.ModuleType("only_here")
    elsewhere.Limits = type("Limits", (), {"__module__": "only_here"})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "only_here", elsewhere)
    with WorkerPool(elsewhere.Limits, workers=1) as pool:
        answers = pool.map([(0, [("say", "a")])], ahead=1)
        with pytest.raises(RuntimeError, match=r"could not be started: ModuleNotFoundError.*only_here"):
            next(answers)


def test_molecules_the_model_cannot_encode_are_refused(tmp_path: Path) -> None:
    source = tmp_path / "a.smi"
    source.write_text("CCO a\nCCC b\nCCN c\nCCC d\n")
    model = FakeModel(refuse="CCC")
    report = build(source, tmp_path / "lib", model, workers=1)
    assert (report.used, report.refused, report.duplicates) == (2, 2, 0)
    assert report.refusals[0].reason == "the model cannot encode it: no motif was found"
    assert [row.name for row in Library.open(tmp_path / "lib").rows([0, 1])] == ["a", "c"]


def test_a_model_that_encodes_nothing_stops_the_import(tmp_path: Path) -> None:
    class Broken(FakeModel):
        def encode_molecules(self, molecules: object) -> object:  # type: ignore[override]
            raise RuntimeError("no weights")

    with pytest.raises(ModelError, match=r"None of 100 molecules can be encoded.*no weights"):
        build(write_table(tmp_path / "a.tsv", 100), tmp_path / "lib", Broken(), workers=1)


def test_featurising_happens_in_the_workers(tmp_path: Path) -> None:
    source = write_table(tmp_path / "a.tsv", 40)
    build(source, tmp_path / "plain", FakeModel(), workers=1)
    build(source, tmp_path / "featured", FeaturisingModel(), workers=2)
    assert contents(tmp_path / "plain") == contents(tmp_path / "featured")


def journal(folder: Path) -> int:
    try:
        with sqlite3.connect(f"file:{folder}/rows.sqlite?mode=ro", uri=True) as database:
            (state,) = database.execute("SELECT state FROM journal").fetchone()
        return int(json.loads(state)["records"])
    except (sqlite3.Error, TypeError):
        return 0


def test_kill_and_resume_lose_and_repeat_nothing(tmp_path: Path) -> None:
    """Killed for real, three times at different places, then resumed: the same library, byte for byte."""
    source = write_table(tmp_path / "a.tsv", 300)
    out = tmp_path / "lib"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.mlcore.retrieval.library_helpers", str(source), str(out), "0.01"]
    reached = []
    for least in (1, 90, 200):
        child = subprocess.Popen(command, env=environment, cwd=ROOT, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while journal(tmp_path / "lib.building") < least and child.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
        assert not out.exists()
        reached.append(journal(tmp_path / "lib.building"))
    assert reached == sorted(set(reached))
    # bytes that were on their way when the process died
    with (tmp_path / "lib.building" / "atoms.npy").open("ab") as file:
        file.write(b"torn")
    logged: list[str] = []

    class Log(NullProgress):
        def log(self, text: str) -> None:
            logged.append(text)

    model = FakeModel()
    report = build(source, out, model, workers=1, commit_every=16, progress=Log())
    assert logged == [f"Going on after record {reached[-1]} of an interrupted import."]
    assert sum(model.batches) < 150
    assert (report.read, report.used, report.refused, report.duplicates) == (342, 300, 30, 12)
    assert len(report.refusals) == 30
    build(source, tmp_path / "whole", FakeModel(), workers=1, commit_every=1000)
    assert contents(out) == contents(tmp_path / "whole")
    assert Library.open(out).fingerprint == Library.open(tmp_path / "whole").fingerprint
    assert names(tmp_path) == ["a.tsv", "lib", "whole"]


@pytest.mark.parametrize("where", ["_write_manifest", "swap"])
def test_interrupted_at_the_end(tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_table(tmp_path / "a.tsv", 30)
    model = FakeModel()

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        target = "mlcore.retrieval.building." + (
            "Building._write_manifest" if where == "_write_manifest" else "swap"
        )
        patch.setattr(target, stop)
        with pytest.raises(KeyboardInterrupt):
            build(source, tmp_path / "lib", model, workers=1)
    assert not (tmp_path / "lib").exists()
    report = build(source, tmp_path / "lib", model, workers=1)
    assert sum(model.batches) == 30
    assert report.used == Library.open(tmp_path / "lib").size == 30


def test_resuming_needs_the_same_file_and_model(tmp_path: Path) -> None:
    class Stop(NullProgress):
        stopping = True

    source = write_table(tmp_path / "a.tsv", 60)

    def started() -> None:
        report = build(source, tmp_path / "lib", FakeModel(), workers=1, commit_every=16, progress=Stop())
        assert not report.finished
        assert report.read == 16

    started()
    other = FakeModel("b" * 64)
    assert build(source, tmp_path / "lib", other, workers=1).used == 60
    assert sum(other.batches) == 60
    assert Library.open(tmp_path / "lib").model_fingerprint == "b" * 64
    started()
    model = FakeModel()
    build(source, tmp_path / "lib", model, workers=1, resume=False)
    assert sum(model.batches) == 60
    started()
    model = FakeModel()
    build(source, tmp_path / "lib", model, workers=1)
    assert sum(model.batches) < 60


def test_two_imports_into_one_folder_are_refused(tmp_path: Path) -> None:
    arguments = {"dim": 16, "fine": 8, "refused_name": "refused.smi", "resume": True}
    first = Building(tmp_path / "lib", {}, **arguments)
    with pytest.raises(LibraryError, match="Another import is writing"):
        Building(tmp_path / "lib", {}, **arguments)
    first.abandon()
    Building(tmp_path / "lib", {}, **arguments).abandon(remove=True)
    assert names(tmp_path) == []


def test_a_folder_that_is_no_library_is_not_replaced(tmp_path: Path) -> None:
    source = write_table(tmp_path / "a.tsv", 10)
    precious = tmp_path / "thesis"
    precious.mkdir()
    (precious / "chapter.txt").write_text("years of work")
    for out, message in ((precious, "holds no library"), (source, "is a file")):
        with pytest.raises(LibraryError, match=message):
            build(source, out, FakeModel(), workers=1)
    assert (precious / "chapter.txt").read_text() == "years of work"
    assert build(source, tmp_path / "new" / "deep" / "lib", FakeModel(), workers=1).finished


FULL = """
import resource, sys
from mlcore.retrieval.importer import build
from mlcore.runtime.errors import LibraryError
from tests.mlcore.retrieval.library_helpers import FakeModel
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), -1))
try:
    build(sys.argv[1], sys.argv[2], FakeModel(), workers=1, commit_every=16)
except LibraryError as fault:
    print(fault)
else:
    print("no fault")
"""


@pytest.mark.parametrize("limit", [9_000, 70_000, 120_000])
def test_a_full_disk_is_said_and_nothing_is_lost(tmp_path: Path, limit: int) -> None:
    """Files may not grow beyond ``limit`` bytes: arrays or database run out of room at different places."""
    out = tmp_path / "lib"
    build(write_table(tmp_path / "a.tsv", 10), out, FakeModel(), workers=1)
    before = contents(out)
    source = write_table(tmp_path / "b.tsv", 300)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", FULL, str(source), str(out), str(limit)]
    said = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr[-2000:]
    assert "disk" in said.stdout, said.stdout
    assert "--resume" in said.stdout
    assert contents(out) == before
    report = build(source, out, FakeModel(), workers=1, commit_every=16)
    assert (report.used, Library.open(out).size) == (300, 300)


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """A dry run over five times as many records needs no more memory."""
    code = (
        "import resource, sys; from mlcore.retrieval.importer import build\n"
        "build(sys.argv[1], 'x', None, dry_run=True, workers=1)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    used = []
    for count in (1_000, 5_000):
        source = tmp_path / f"{count}.smi"
        source.write_text("".join(f"C(C {'x' * 300}{number}\n" for number in range(count)))
        command = [sys.executable, "-c", code, str(source)]
        used.append(int(subprocess.check_output(command, env=environment, cwd=tmp_path)))
    assert used[1] - used[0] < 15_000  # kilobytes


PIECES = [
    "CCO a",
    "OCC b",
    "C(C c",
    "",
    "#x",
    "CC(C)(C)(C)C",
    "🙂",
    "C\0",
    "\t",
    "c1ccccc1\tbenzene",
    "*",
    "[Na+].[Cl-] salt",
]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.sampled_from(PIECES), min_size=1, max_size=40), every=st.integers(1, 20))
def test_counts_close_on_any_mixture(tmp_path: Path, rows: list[str], every: int) -> None:
    source = tmp_path / "mix.smi"
    source.write_text("C methane\n" + "\n".join(rows) + "\n" + "# padding\n" * 40)
    report = build(source, tmp_path / "lib", FakeModel(), workers=1, commit_every=every, resume=False)
    good = [row for row in rows if row in (PIECES[0], PIECES[1], PIECES[9], PIECES[10], PIECES[11])]
    bad = [row for row in rows if row in (PIECES[2], PIECES[5], PIECES[6], PIECES[7])]
    assert report.read == 1 + len(good) + len(bad)
    assert report.refused == len(bad)
    assert (
        report.used
        == Library.open(tmp_path / "lib").size
        == 1 + len({row.replace("OCC b", "CCO a") for row in good})
    )


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    cli_index.add_arguments(parser)
    source = write_table(tmp_path / "a.tsv", 20)
    refused = tmp_path / "refused.tsv"
    options = ["--molecules", str(source), "--dry-run", "--json", "--workers", "1", "--refused", str(refused)]
    assert cli_index.run(parser.parse_args(options)) == 0
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (answer["read"], answer["used"], answer["refused"], answer["duplicates"]) == (22, 20, 2, 0)
    assert len(refused.read_text().splitlines()) == 3
    assert cli_index.run(parser.parse_args(["--molecules", str(source)])) == 2
    assert cli_index.run(parser.parse_args(["--molecules", str(tmp_path / "none.csv"), "--dry-run"])) == 1
    assert "cannot be read" in capsys.readouterr().err


def test_vectors_of_rows_follow_commits(tmp_path: Path) -> None:
    source = write_table(tmp_path / "a.tsv", 50)
    build(source, tmp_path / "lib", FakeModel(), workers=2, commit_every=7)
    library = Library.open(tmp_path / "lib")
    scores, found = library.nearest(library.vectors(range(50)), 1)
    assert found[:, 0].tolist() == list(range(50))
    assert np.allclose(scores, 1, atol=1e-5)
