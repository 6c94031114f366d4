"""A library of another model is encoded again from its own rows, and answers until the new one is whole."""

from __future__ import annotations

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from tests.workers.tiny import TinyModel
from workers import engine, jobs, libraries, science, work
from workers.models import Library

pytestmark = pytest.mark.django_db(transaction=True)

TABLE = (
    b"id\tname\tsynonyms\tsmiles\tdescription\n"
    b"e\tethanol\tspirit|alcohol\tCCO\tA clear liquid that burns.\n"
    b"e\tethanol\t\tCCO\tA solvent.\n"
    b"a\tethylamine\t\tCCN\t\n"
)


class NewerModel(TinyModel):
    """Another model."""

    fingerprint = "c" * 64


@pytest.fixture(autouse=True)
def plain(house, monkeypatch):
    """No bells, and the door opens without a model."""
    monkeypatch.setattr(jobs, "ring", lambda job: None)
    monkeypatch.setattr(science, "load_model", lambda folder: TinyModel())
    yield
    engine.use(None)


def rows_of(library: Library) -> list[tuple]:
    """What is known of each molecule."""
    from mlcore.retrieval.rows import connect, read_rows

    connection = connect(library.folder / "rows.sqlite")
    count = connection.execute("SELECT COUNT(*) FROM rows").fetchone()[0]
    facts = ("id", "name", "smiles", "descriptions", "synonyms", "source", "category")
    return [tuple(getattr(row, name) for name in facts) for row in read_rows(connection, range(count))]


def test_rows_survive_and_the_new_model_is_named(member, house, settings, monkeypatch):
    job = libraries.import_upload(SimpleUploadedFile("mine.tsv", TABLE), "Mine", member)
    assert work.perform(job["id"]) == "done"
    library = Library.objects.get()
    before = rows_of(library)
    assert before[0][3] == ("A clear liquid that burns.", "A solvent.")

    again = jobs.submit("rebuild", {"library": library.pk})
    assert work.perform(str(again.pk)) == "done"
    again.refresh_from_db()
    assert again.result["rebuilt"] is False, "the model in use has built it"

    card = settings.FERRY_MODELS / "retrieval" / "card.json"
    card.write_text(json.dumps({"sha256": NewerModel.fingerprint}))
    monkeypatch.setattr(science, "load_model", lambda folder: NewerModel())
    again = jobs.submit("rebuild", {"library": library.pk})
    assert work.perform(str(again.pk)) == "done"
    library.refresh_from_db()
    assert library.model_hash == NewerModel.fingerprint
    assert rows_of(library) == before
