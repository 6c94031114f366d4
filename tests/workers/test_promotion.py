"""Promoting, rolling back and deleting versions: on evidence, with a reason, never what is in use."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from workers import comparison, jobs, registry, removal
from workers.errors import BadInput, NotFound
from workers.models import AuditEntry, Evaluation, Job, ModelVersion, Promotion

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def versions(settings, tmp_path):
    """Two registered versions of a model."""
    settings.FERRY_DATA = tmp_path
    made = []
    for number in (1, 2):
        folder = tmp_path / "jobs" / str(number) / "model"
        folder.mkdir(parents=True)
        (folder / "card.json").write_text(json.dumps({"sha256": f"{number}" * 64}))
        (folder / "config.json").write_text(json.dumps({"width": 64 * number, "layers": 3}))
        job = Job.objects.create(kind="monge", queue="training")
        made.append(registry.register("monge", "", folder, job))
    return made


def measured(version: ModelVersion) -> Evaluation:
    """An evaluation of a version."""
    return Evaluation.objects.create(version=version, metrics={"l2_uvp": 2.0}, data=[{"name": "pairs.npz"}])


def test_a_promotion_rests_on_an_evaluation_of_that_version(versions, administrator):
    first, second = versions
    with pytest.raises(BadInput, match="rests on an evaluation"):
        registry.promote(first, administrator, "better")
    with pytest.raises(BadInput, match="another version"):
        registry.promote(first, administrator, "better", measured(second))
    with pytest.raises(BadInput, match="reason"):
        registry.promote(first, administrator, "  ", measured(first))
    change = registry.promote(first, administrator, "better", measured(first))
    assert change.evidence["metrics"] == {"l2_uvp": 2.0}
    assert (change.before, change.after, change.who, change.why) == (0, 1, "ada", "better")
    assert AuditEntry.objects.filter(verb="promote", who="ada").exists()
    with pytest.raises(BadInput, match="already"):
        registry.promote(first, administrator, "again", measured(first))


def test_rolling_back_puts_the_one_before_back(versions):
    for version in versions:
        registry.promote(version, "anna", "try", unmeasured=True)
    registry.roll_back("monge", "", "anna", "slower than thought")
    assert registry.active("monge").version == 1
    assert [(row.before, row.after) for row in Promotion.objects.order_by("pk")] == [(0, 1), (1, 2), (2, 1)]
    registry.promote(versions[1], "anna", "after all", unmeasured=True)
    assert registry.active("monge").version == 2
    with pytest.raises(BadInput, match="Nothing was ever promoted"):
        registry.roll_back("retrieval", "", "anna", "no")


def test_which_version_served_when(versions):
    first, _ = versions
    before = timezone.now()
    registry.promote(first, "anna", "better", unmeasured=True)
    assert registry.served_at("monge", "", before - timedelta(days=1))[0] == 0
    assert registry.served_at("monge", "", timezone.now()) == (1, "1" * 64)


def test_a_version_whose_files_are_gone_or_changed_is_not_promoted(versions):
    first, second = versions
    (registry.resolve(first.folder) / "card.json").unlink()
    with pytest.raises(NotFound, match=r"card\.json"):
        registry.promote(first, "anna", "better", unmeasured=True)
    (registry.resolve(second.folder) / "card.json").write_text('{"sha256": "changed"}')
    with pytest.raises(NotFound, match="not those"):
        registry.promote(second, "anna", "better", unmeasured=True)
    assert not Promotion.objects.exists()


def test_a_job_taken_up_after_its_version_was_entered_enters_none_twice(versions):
    first, _ = versions
    assert registry.register("monge", "", registry.resolve(first.folder)) == first


def test_row_and_files_go_together_but_not_what_is_in_use(versions):
    first, second = versions
    registry.promote(first, "anna", "better", unmeasured=True)
    with pytest.raises(BadInput, match="answers now"):
        removal.delete_version(first, "anna")
    ModelVersion.objects.filter(pk=first.pk).update(parent=second)
    with pytest.raises(BadInput, match="made from"):
        removal.delete_version(second, "anna")
    ModelVersion.objects.filter(pk=first.pk).update(parent=None)
    folder = registry.resolve(second.folder)
    assert removal.delete_version(second, "anna") > 0
    assert not folder.exists()
    assert list(folder.parent.iterdir()) == []
    assert AuditEntry.objects.filter(verb="delete").count() == 1


def test_a_job_is_deleted_with_its_folder_unless_a_model_lives_there(settings, tmp_path, monkeypatch):
    settings.FERRY_DATA = tmp_path
    monkeypatch.setattr(jobs, "ring", lambda job: None)
    job = Job.objects.create(kind="monge", queue="training")
    folder = tmp_path / "jobs" / str(job.pk)
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "card.json").write_text('{"sha256": "ab"}')
    with pytest.raises(BadInput, match="Stop it first"):
        removal.delete_job(job, "anna")
    job = jobs.stop(job)
    version = registry.register("monge", "", folder / "model", job)
    with pytest.raises(BadInput, match="Delete the version first"):
        removal.delete_job(job, "anna")
    removal.delete_version(version, "anna")
    removal.delete_job(job, "anna")
    assert not folder.exists()
    assert not Job.objects.exists()


def test_only_what_differs_is_shown(versions):
    rows = comparison.differences([comparison.configuration(version)["model"] for version in versions])
    assert rows == [("width", [64, 128])]
    assert comparison.differences([{"a": {"b": 1}}, {"a": {}}]) == [("a.b", [1, None])]


@pytest.mark.parametrize("area", ["..", "../secret", "a/b", "", "A", "a" * 200])
def test_an_area_never_leads_out_of_the_folder_of_models(area):
    with pytest.raises(NotFound):
        registry.shipped(area)
