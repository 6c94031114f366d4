"""Train a retrieval model and enter it as a version that a person may promote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workers import catalogue, registry, work
from workers.errors import translated
from workers.kinds import RetrievalParameters
from workers.models import Job
from workers.work import JobProgress


def run(parameters: RetrievalParameters, job: Job, progress: JobProgress) -> dict[str, Any]:
    """Train into the job's folder (going on from its last checkpoint), build the catalogue, register the version."""
    out = work.folder_of(job)
    out.mkdir(parents=True, exist_ok=True)
    with translated():
        metrics = _train(parameters, out, progress)
        if progress.stopping:
            return {"stopped": True}
        catalogue.build(out / "model", progress)
    version = registry.register("retrieval", "", out / "model", job)
    return {"version": version.version, "metrics": metrics}


def _train(parameters: RetrievalParameters, out: Path, progress: JobProgress) -> dict[str, Any]:
    from mlcore.retrieval.presets import PRESETS
    from mlcore.retrieval.train import train
    from mlcore.runtime.training import configured

    pairs = [f"{name}={value}" for name, value in parameters.overrides.items()]
    config = configured(PRESETS, parameters.preset, pairs)
    return dict(train(config, [Path(path) for path in parameters.data.values()], out, progress, resume=True))
