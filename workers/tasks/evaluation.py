"""Measure a version on named data and enter the figures, on which a promotion can rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from workers import datasets, registry
from workers.errors import BadInput, NotFound, translated
from workers.kinds import EvaluationParameters
from workers.models import Evaluation, Job, ModelVersion
from workers.work import JobProgress

Figures = dict[str, float]


def run(parameters: EvaluationParameters, job: Job, progress: JobProgress) -> dict[str, Any]:
    """Measure, and keep the figures with the version; one evaluation a job, however often it is taken up."""
    version = ModelVersion.objects.filter(pk=parameters.version).first()
    if parameters.version and version is None:
        raise NotFound("The version was deleted before it could be measured.")
    area = version.area if version is not None else parameters.area
    folder = registry.resolve(version.folder) if version is not None else registry.shipped(area)
    if area not in MEASURES:
        raise BadInput(f"Nothing measures models of '{area}'.", "version", f"Choose {', '.join(MEASURES)}.")
    data = datasets.paths(parameters.data)
    with translated():
        figures = MEASURES[area](folder, data, progress)
    if version is not None:
        facts = {
            "metrics": figures,
            "data": datasets.described(parameters.data),
            "command": _command(area, parameters.data),
        }
        Evaluation.objects.update_or_create(job=job, version=version, defaults=facts)
    return {"metrics": figures}


def _retrieval(folder: Path, data: Mapping[str, Path], progress: JobProgress) -> Figures:
    from mlcore.retrieval.data import read_table
    from mlcore.retrieval.evaluate import Protocol, evaluate
    from mlcore.retrieval.model import RetrievalModel

    _needed(data, "queries", "candidates")
    protocol = Protocol(directions=("text_to_molecule",))
    queries, candidates = read_table(data["queries"]), read_table(data["candidates"])
    found = evaluate(RetrievalModel.load(folder), queries, candidates, [], protocol, progress)
    return {
        f"{pool} {name}": float(found[pool]["text_to_molecule"][name])
        for pool in protocol.pools
        for name in ("hits@1", "hits@10", "mrr", "mean_rank", "queries", "pool")
    }


def _monge(folder: Path, data: Mapping[str, Path], progress: JobProgress) -> Figures:
    from mlcore.transport.maps.data import check_dimension, read_pairs
    from mlcore.transport.maps.model import MongeMap
    from mlcore.transport.maps.scores import against_pairs

    _needed(data, "pairs")
    model = MongeMap.load(folder)
    source, mapped = read_pairs(data["pairs"])
    check_dimension(model, source, data["pairs"])
    found = against_pairs(model, source, mapped)
    return {name: float(found[name]) for name in ("l2_uvp", "cosine", "gap", "points")}


#: area → what measures a model folder of it on named files
MEASURES: dict[str, Callable[[Path, Mapping[str, Path], JobProgress], Figures]] = {
    "retrieval": _retrieval,
    "monge": _monge,
}


def _needed(data: Mapping[str, Path], *names: str) -> None:
    missing = [name for name in names if name not in data]
    if missing:
        raise BadInput(
            f"The evaluation needs {' and '.join(missing)}.",
            f"data.{missing[0]}",
            "Name a data set for each.",
        )


def _command(area: str, data: Mapping[str, str]) -> str:
    files = " ".join(f"--{role} {name}" for role, name in data.items())
    return f"python -m mlcore evaluate {area} --model DIR {files}"
