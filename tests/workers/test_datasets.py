"""Data sets: named inside a few folders, never outside, kept whole or not at all."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from workers import datasets, jobs
from workers.errors import BadInput, Busy, NotFound

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def folders(settings, tmp_path):
    """An own folder and a further one."""
    settings.FERRY_DATA = tmp_path / "data"
    settings.FERRY_DATASETS = [str(tmp_path / "more")]
    (tmp_path / "data").mkdir()
    (tmp_path / "more" / "deep").mkdir(parents=True)
    (tmp_path / "more" / "deep" / "big.tsv.gz").write_bytes(b"x")
    (tmp_path / "secret.tsv").write_text("not yours")


def upload(name: str, content: bytes = b"1,2\n3,4\n") -> datasets.DataSet:
    """Store a file."""
    return datasets.store(SimpleUploadedFile(name, content))


def test_what_is_there_is_listed_with_where_it_may_be_deleted():
    upload("cloud.csv")
    assert {entry.name: entry.own for entry in datasets.listing()} == {
        "cloud.csv": True,
        "deep/big.tsv.gz": False,
        datasets.SHIPPED: False,
    }


@pytest.mark.parametrize(
    "name", ["../secret.tsv", "/etc/passwd", "deep/../../secret.tsv", "none.csv", "", "x" * 300, "a\0b"]
)
def test_a_name_never_leads_out_of_the_folders(name):
    with pytest.raises(BadInput, match="no data set") as caught:
        datasets.resolve(name, "data.source")
    assert caught.value.field == "data.source"


def test_a_link_out_of_the_folder_is_not_followed(tmp_path):
    (datasets.roots()[0] / "link.tsv").symlink_to(tmp_path / "secret.tsv")
    with pytest.raises(BadInput):
        datasets.resolve("link.tsv")


@pytest.mark.parametrize("name", ["cloud.exe", ".hidden.csv", "a b.csv", "model.pkl"])
def test_names_that_are_not_taken_are_refused_in_words(name):
    with pytest.raises(BadInput, match="no name for a data set"):
        upload(name)


def test_nothing_is_overwritten_and_nothing_half_kept():
    upload("cloud.csv")
    with pytest.raises(BadInput, match="already"):
        upload("cloud.csv", b"other")

    class Broken:
        name, size = "half.csv", 10

        def chunks(self):
            yield b"1,2\n"
            raise ConnectionError

    with pytest.raises(ConnectionError):
        datasets.store(Broken())
    assert [path.name for path in datasets.roots()[0].iterdir()] == ["cloud.csv"]


def test_a_full_disk_is_told_before_anything_is_written(monkeypatch):
    monkeypatch.setattr(datasets, "SPARE", 10**18)
    with pytest.raises(Busy, match="disk"):
        upload("cloud.csv")


def test_what_an_open_job_needs_is_not_deleted(monkeypatch):
    monkeypatch.setattr(jobs, "ring", lambda job: None)
    upload("cloud.csv")
    job = jobs.submit("monge", {"data": {"source": "cloud.csv"}})
    with pytest.raises(Busy, match="needs this data set"):
        datasets.remove("cloud.csv")
    jobs.stop(job)
    datasets.remove("cloud.csv")
    with pytest.raises(NotFound):
        datasets.remove("deep/big.tsv.gz")


def test_the_shipped_catalogue_is_a_table_to_train_on():
    path: Path = datasets.resolve(datasets.SHIPPED)
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert len(rows) > 1500
    assert all(row["SMILES"] and row["description"] for row in rows)
    assert datasets.described({"train": datasets.SHIPPED})[0]["sha256"] == datasets.sha256(path)
