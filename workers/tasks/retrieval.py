"""Train a retrieval model and enter it as a version that a person may promote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workers import catalogue, datasets, kinds, registry, work
from workers.errors import translated
from workers.kinds import TrainingParameters
from workers.models import Job
from workers.work import JobProgress


def run(parameters: TrainingParameters, job: Job, progress: JobProgress) -> dict[str, Any]:
    """Train into the job's folder (going on from its last checkpoint), build the catalogue, register the version."""
    out = work.folder_of(job)
    out.mkdir(parents=True, exist_ok=True)
    with translated():
        metrics = _train(parameters, out, progress)
        if progress.stopping:
            return {"stopped": True}
        progress.log("encoding the catalogue with the new model")
        catalogue.build(out / "model", WithoutCurves(progress))
    version = registry.register("retrieval", "", out / "model", job)
    return {"version": version.version, "metrics": metrics}


class WithoutCurves:
    """The progress of what follows a training: its steps are not those of the curves."""

    def __init__(self, progress: JobProgress) -> None:
        self._progress = progress
        self.log = progress.log

    @property
    def stopping(self) -> bool:
        """True once somebody asked for a stop."""
        return self._progress.stopping

    def update(self, done: int, total: int | None = None, **metrics: float) -> None:
        """Nothing to tell."""


def _train(parameters: TrainingParameters, out: Path, progress: JobProgress) -> dict[str, Any]:
    from mlcore.retrieval.train import train

    config = kinds.find("retrieval").configured(parameters.preset, parameters.overrides)
    tables = list(datasets.paths(parameters.data).values())
    return dict(train(config, tables, out, progress, resume=True, device=work.device()))
