"""The training job of a retrieval model: a version at its end, and curves that hold the training alone."""

from __future__ import annotations

import json

import pytest

from workers import board, catalogue, datasets, jobs, work
from workers.models import ModelVersion
from workers.tasks import retrieval

pytestmark = pytest.mark.django_db(transaction=True)


def test_what_follows_the_training_leaves_its_curves_alone(settings, tmp_path, monkeypatch):
    settings.FERRY_DATA = tmp_path
    monkeypatch.setattr(jobs, "ring", lambda job: None)

    def train(parameters, out, progress):
        progress.update(1, 2, loss=2.0)
        progress.update(2, 2, loss=1.0)
        (out / "model").mkdir()
        (out / "model" / "card.json").write_text(json.dumps({"sha256": "a" * 64}))
        return {"mrr": 0.5}

    def build(model, progress):
        assert progress.stopping is False
        progress.update(1, 1906, used=1.0)

    monkeypatch.setattr(retrieval, "_train", train)
    monkeypatch.setattr(catalogue, "build", build)
    job = jobs.submit("retrieval", {"data": {"train": datasets.SHIPPED}, "preset": "small"})
    assert work.perform(str(job.pk)) == "done"
    job.refresh_from_db()
    assert job.result == {"version": 1, "metrics": {"mrr": 0.5}}
    assert [point["values"] for point in board.curves(job)["points"]] == [{"loss": 2.0}, {"loss": 1.0}]
    assert job.progress["done"] == 2
    assert ModelVersion.objects.get().job == job
