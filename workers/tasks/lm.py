"""Train a pair of language models of molecules and enter both as versions: a target, and a draft distilled from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workers import datasets, kinds, registry, work
from workers.errors import translated
from workers.kinds import TrainingParameters
from workers.models import Job
from workers.work import JobProgress

AREA, TARGET, DRAFT = "lm", "target", "draft"


def run(parameters: TrainingParameters, job: Job, progress: JobProgress) -> dict[str, Any]:
    """Train into the job's folder (going on from its last checkpoint) and register both models.

    They are promoted one by one. A draft may serve any target of its vocabulary without changing what is answered, only
    less often well: its card names the target that taught it, decoding says so where that is another one, and the
    target's version stays as long as a draft made from it.
    """
    out = work.folder_of(job)
    with translated():
        measured = _train(parameters, out, progress)
    if measured.get("stopped"):
        return {"stopped": True}
    target = registry.register(AREA, TARGET, out / TARGET, job)
    draft = registry.register(AREA, DRAFT, out / DRAFT, job, parent=target)
    return {"version": target.version, "draft": draft.version, "metrics": measured}


def _train(parameters: TrainingParameters, out: Path, progress: JobProgress) -> dict[str, Any]:
    from mlcore.decoding.language.training import train

    config = kinds.find("lm").configured(parameters.preset, parameters.overrides)
    tables = list(datasets.paths(parameters.data).values())
    return train(config, tables, out, progress, resume=True, device=work.device())
