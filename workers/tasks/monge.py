"""Learn a map between two clouds of points and enter it as a version."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workers import datasets, kinds, registry, work
from workers.errors import translated
from workers.kinds import TrainingParameters
from workers.models import Job
from workers.work import JobProgress


def run(parameters: TrainingParameters, job: Job, progress: JobProgress) -> dict[str, Any]:
    """Train into the job's folder (going on from its last checkpoint) and register the map."""
    out = work.folder_of(job)
    with translated():
        result = _train(parameters, out, progress)
    if progress.stopping:
        return {"stopped": True}
    version = registry.register("monge", "", out / "model", job)
    return {"version": version.version, **result}


def _train(parameters: TrainingParameters, out: Path, progress: JobProgress) -> dict[str, Any]:
    from mlcore.transport.maps.data import read_clouds
    from mlcore.transport.maps.training import train

    config = kinds.find("monge").configured(parameters.preset, parameters.overrides)
    source, target = read_clouds(datasets.paths(parameters.data))
    return train(config, source, target, out, progress, resume=True, device=work.device())
