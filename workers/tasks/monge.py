"""Learn a map between two clouds of points and enter it as a version."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workers import registry, work
from workers.errors import translated
from workers.kinds import MongeParameters
from workers.models import Job
from workers.work import JobProgress


def run(parameters: MongeParameters, job: Job, progress: JobProgress) -> dict[str, Any]:
    """Train into the job's folder (going on from its last checkpoint) and register the map."""
    out = work.folder_of(job)
    with translated():
        result = _train(parameters, out, progress)
    if progress.stopping:
        return {"stopped": True}
    version = registry.register("monge", "", out / "model", job)
    return {"version": version.version, **result}


def _train(parameters: MongeParameters, out: Path, progress: JobProgress) -> dict[str, Any]:
    from mlcore.runtime.training import configured
    from mlcore.transport.maps.data import read_clouds
    from mlcore.transport.maps.fitting import PRESETS
    from mlcore.transport.maps.training import train

    pairs = [f"{name}={value}" for name, value in parameters.overrides.items()]
    config = configured(PRESETS, parameters.preset, pairs)
    source, target = read_clouds({name: Path(path) for name, path in parameters.data.items()})
    return train(config, source, target, out, progress, resume=True)
