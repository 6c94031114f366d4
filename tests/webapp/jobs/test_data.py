"""Data sets: brought, listed with their size, taken away."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from workers import datasets
from workers.models import AuditEntry


@pytest.fixture(autouse=True)
def own_folder(settings, tmp_path):
    """Data sets of this test alone."""
    (tmp_path / "tmp").mkdir()
    settings.FERRY_DATA = tmp_path


def bring(client, name="pairs.tsv", content=b"SMILES\tdescription\nCCO\tan alcohol\n"):
    return client.post("/jobs/data/", {"file": SimpleUploadedFile(name, content)}, follow=True)


def test_what_is_there_and_where_it_goes_is_said(page):
    html = page("/jobs/data/")
    assert datasets.SHIPPED in html
    assert "ships with Ferry" in html
    assert "until somebody deletes it here" in html


def test_a_file_is_brought_and_deleted_again(at_work, page, tmp_path):
    assert "The data set “pairs.tsv” is stored." in bring(at_work).content.decode()
    assert (tmp_path / "datasets" / "pairs.tsv").read_bytes().endswith(b"alcohol\n")
    assert "34 B" in page("/jobs/data/")
    assert "34 B will be gone" in page("/jobs/data/delete/pairs.tsv")
    at_work.post("/jobs/data/delete/pairs.tsv")
    assert not (tmp_path / "datasets" / "pairs.tsv").exists()
    assert [entry.verb for entry in AuditEntry.objects.order_by("id")] == ["upload", "delete"]


@pytest.mark.parametrize("name", ["pairs.exe", "a b.tsv", "pairs"])
def test_a_name_that_is_not_taken_is_refused_with_what_is(at_work, name):
    response = bring(at_work, name)
    assert response.status_code == 422
    assert ".parquet" in response.content.decode()


def test_a_name_that_is_there_already_is_refused(at_work):
    bring(at_work)
    assert bring(at_work).status_code == 422


def test_no_file_is_a_plain_word(at_work):
    response = at_work.post("/jobs/data/", {})
    assert response.status_code == 422
    assert "No file was chosen" in response.content.decode()


def test_what_a_job_needs_and_what_is_not_ours_stays(at_work, make):
    bring(at_work)
    make("queued", parameters={"data": {"source": "pairs.tsv"}, "preset": "small", "overrides": {}})
    assert at_work.post("/jobs/data/delete/pairs.tsv").status_code == 503
    assert at_work.get(f"/jobs/data/delete/{datasets.SHIPPED}").status_code == 404
    assert at_work.get("/jobs/data/delete/../../etc/passwd").status_code == 404
