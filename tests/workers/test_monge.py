"""A map learnt as a job: the version it leaves, its figures, and what it says of faulty clouds."""

from __future__ import annotations

import numpy as np
import pytest

from workers import jobs, registry, work
from workers.models import ModelVersion

pytestmark = pytest.mark.django_db(transaction=True)

BRIEF = {"steps": 20, "every": 10, "batch": 32, "width": 16}


@pytest.fixture
def perform(settings, tmp_path, monkeypatch):
    """Does a job of kind 'monge' with these data; the finished row."""
    settings.FERRY_DATA = tmp_path
    monkeypatch.setattr(jobs, "ring", lambda job: None)

    def do(data, **parameters):
        job = jobs.submit("monge", {"data": data, "preset": "small", **parameters})
        work.perform(str(job.pk))
        job.refresh_from_db()
        return job

    return do


def test_a_map_becomes_a_version(perform, tmp_path):
    random = np.random.default_rng(0)
    (tmp_path / "datasets").mkdir()
    clouds = tmp_path / "datasets" / "clouds.npz"
    np.savez(clouds, source=random.normal(size=(200, 2)), target=random.normal(size=(200, 2)) + 3)
    job = perform({"clouds": "clouds.npz"}, overrides=BRIEF)
    assert job.state == "done", job.error
    assert set(job.result["held_out"]) == {"map", "identity", "linear", "discrete"}
    version = ModelVersion.objects.get(area="monge", version=job.result["version"])
    folder = registry.resolve(version.folder)
    assert {"model.safetensors", "config.json", "card.json"} <= {path.name for path in folder.iterdir()}
    assert version.card["metrics"]["held_out"] == job.result["held_out"]


def test_clouds_that_do_not_fit_are_told(perform, tmp_path):
    (tmp_path / "datasets").mkdir()
    for name, width in (("a", 2), ("b", 3)):
        np.save(tmp_path / "datasets" / f"{name}.npy", np.zeros((50, width)))
    job = perform({"source": "a.npy", "target": "b.npy"})
    assert job.state == "failed"
    assert "tables of the same width" in str(job.error)
    assert not ModelVersion.objects.filter(area="monge").exists()
