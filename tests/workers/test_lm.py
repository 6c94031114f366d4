"""A pair of language models trained as a job: two versions that belong together, measured, promoted, taken away."""

from __future__ import annotations

import json

import pytest

from tests.mlcore.decoding.molecule_texts import pairs, write
from workers import board, jobs, registry, removal, work
from workers.errors import BadInput
from workers.models import Evaluation, ModelVersion
from workers.tasks import evaluation, lm

pytestmark = pytest.mark.django_db(transaction=True)

BRIEF = {
    "vocabulary": 360, "context": 96, "batch": 2048, "epochs": 1.0, "draft_epochs": 0.5, "distillation_epochs": 0.5,
    "target.width": 16, "target.layers": 1, "target.heads": 1, "target.inner": 16,
    "draft.width": 16, "draft.layers": 1, "draft.heads": 1, "draft.inner": 16, "tuning_share": 0.2,
}  # fmt: skip


@pytest.fixture
def perform(settings, tmp_path, monkeypatch):
    """Does a job; the finished row."""
    settings.FERRY_DATA = tmp_path
    monkeypatch.setattr(jobs, "ring", lambda job: None)
    (tmp_path / "datasets").mkdir()
    write(tmp_path / "datasets" / "pairs.tsv")

    def do(kind, parameters):
        job = jobs.submit(kind, parameters)
        work.perform(str(job.pk))
        job.refresh_from_db()
        return job

    return do


@pytest.fixture
def written(monkeypatch):
    """A training that leaves two folders at once."""

    def train(parameters, out, progress):
        for name in ("target", "draft"):
            (out / name).mkdir(parents=True, exist_ok=True)
            (out / name / "card.json").write_text(json.dumps({"sha256": name[0] * 64}))
            (out / name / "config.json").write_text("{}")
        return {"overlap_molecule": 0.8}

    monkeypatch.setattr(lm, "_train", train)


PARAMETERS = {"data": {"train": "pairs.tsv"}, "preset": "small"}


def test_a_training_leaves_a_target_and_its_draft_and_both_can_be_measured(perform, tmp_path, monkeypatch):
    job = perform("lm", {**PARAMETERS, "overrides": BRIEF})
    assert job.state == "done", job.error
    assert {"target_molecule", "draft_molecule", "overlap_description"} <= set(job.result["metrics"])
    target, draft = (ModelVersion.objects.get(area="lm", slot=slot) for slot in ("target", "draft"))
    assert (job.result["version"], job.result["draft"]) == (target.version, draft.version) == (1, 1)
    assert draft.parent == target
    assert draft.card["target"] == target.hash
    names = {name for point in board.curves(job)["points"] for name in point["values"]}
    assert {"target_loss", "draft_loss", "distillation_loss", "distillation_overlap"} <= names

    monkeypatch.setattr(evaluation, "LM_PAIRS", 5)
    monkeypatch.setattr(evaluation, "_LM_BLOCK", 3)
    measured = perform("evaluation", {"version": draft.pk, "data": {"pairs": "pairs.tsv"}})
    assert measured.state == "done", measured.error
    row = Evaluation.objects.get(version=draft)
    assert row.metrics["pairs"] == 5
    assert {"text_to_smiles validity", "text_to_smiles exact", "smiles_to_text bleu2"} <= set(row.metrics)
    assert row.command == "python -m mlcore evaluate lm --model DIR --pairs pairs.tsv --limit 5"
    assert measured.progress["done"] == measured.progress["total"] == 10


def test_the_draft_keeps_the_version_that_taught_it(perform, written):
    perform("lm", PARAMETERS)
    target, draft = (ModelVersion.objects.get(area="lm", slot=slot) for slot in ("target", "draft"))
    with pytest.raises(BadInput, match="made from"):
        removal.delete_version(target, "anna")
    registry.promote(draft, "anna", "try", unmeasured=True)
    assert registry.active("lm", "draft").version == 1
    assert registry.active("lm", "target").version == 0, "one is promoted without the other"
    registry.retire("lm", "draft", "anna", "back")
    draft.refresh_from_db()
    removal.delete_version(draft, "anna")
    removal.delete_version(target, "anna")
    assert not ModelVersion.objects.exists()


def test_taken_up_after_its_versions_were_entered_it_enters_none_twice(perform, written):
    job = perform("lm", PARAMETERS)
    found = lm.run(job_parameters(job), job, None)
    assert found["version"] == found["draft"] == 1
    assert ModelVersion.objects.count() == 2


def job_parameters(job):
    from workers import kinds

    return kinds.find("lm").read(job.parameters)


def test_a_stopped_training_enters_nothing(perform, monkeypatch):
    monkeypatch.setattr(lm, "_train", lambda *_: {"stopped": True})
    assert perform("lm", PARAMETERS).result == {"stopped": True}
    assert not ModelVersion.objects.exists()


@pytest.mark.parametrize(
    ("overrides", "field", "words"),
    [
        ({"vocabulary": 10}, "vocabulary", "at least 300"),
        ({"target.widht": 10}, "target.widht", "Did you mean 'target.width'"),
        ({"overlap_weight": 2}, "overlap_weight", "at most 1"),
    ],
)
def test_wrong_parameters_are_told_before_it_begins(perform, overrides, field, words):
    with pytest.raises(BadInput, match=words) as caught:
        jobs.submit("lm", {**PARAMETERS, "overrides": overrides})
    assert caught.value.field == field


def test_a_table_without_descriptions_is_told(perform, tmp_path):
    write(tmp_path / "datasets" / "bare.tsv", [(smiles, "") for smiles, _ in pairs()])
    job = perform("lm", {**PARAMETERS, "data": {"train": "bare.tsv"}})
    assert job.state == "failed"
    assert "no pair of a molecule and a description" in str(job.error)


class Halting:
    """Stops once something was answered."""

    def __init__(self):
        self.done = 0

    @property
    def stopping(self):
        return self.done > 0

    def update(self, done, total=None, **metrics):
        self.done = done

    def log(self, text):
        """Not needed."""


def test_an_evaluation_stops_between_two_blocks(perform, settings, tmp_path, monkeypatch):
    from tests.decoding_models import tiny_pair
    from workers import kinds
    from workers.models import Job

    settings.FERRY_MODELS = tmp_path / "models"
    tiny_pair(settings.FERRY_MODELS)
    monkeypatch.setattr(evaluation, "_LM_BLOCK", 2)
    monkeypatch.setattr(evaluation, "LM_PAIRS", 6)
    values = {"version": 0, "area": "lm-draft", "data": {"pairs": "pairs.tsv"}}
    heard = Halting()
    job = Job.objects.create(kind="evaluation", queue="training")
    assert evaluation.run(kinds.find("evaluation").read(values), job, heard) == {"stopped": True}
    assert heard.done == 2


def test_what_measures_a_language_model_needs_pairs(perform, settings, tmp_path):
    settings.FERRY_MODELS = tmp_path / "models"
    job = perform("evaluation", {"version": 0, "area": "lm-target", "data": {"queries": "pairs.tsv"}})
    assert job.state == "failed"
    assert "needs pairs" in str(job.error)
