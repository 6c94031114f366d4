"""Measure a version on named data and enter the figures, on which a promotion can rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from workers import datasets, registry, work
from workers.errors import BadInput, NotFound, translated
from workers.kinds import EvaluationParameters
from workers.models import Evaluation, Job, ModelVersion
from workers.work import JobProgress

Figures = dict[str, float]

#: the first pairs of a table, which a language model answers within minutes
LM_PAIRS = 500
_LM_BLOCK = 128  # pairs that are asked for before a stop is looked for


class Stopped(Exception):
    """Somebody asked for a stop."""


def run(parameters: EvaluationParameters, job: Job, progress: JobProgress) -> dict[str, Any]:
    """Measure, and keep the figures with the version; one evaluation a job, however often it is taken up."""
    version = ModelVersion.objects.filter(pk=parameters.version).first()
    if parameters.version and version is None:
        raise NotFound("The version was deleted before it could be measured.")
    area = version.area if version is not None else parameters.area
    folder = registry.resolve(version.folder) if version is not None else registry.shipped(area)
    measure = area.partition("-")[0]  # a shipped model of a slot is named with it: lm-target
    if measure not in MEASURES:
        raise BadInput(f"Nothing measures models of '{area}'.", "version", f"Choose {', '.join(MEASURES)}.")
    data = datasets.paths(parameters.data)
    try:
        with translated():
            figures = MEASURES[measure](folder, data, progress)
    except Stopped:
        return {"stopped": True}
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


def _lm(folder: Path, data: Mapping[str, Path], progress: JobProgress) -> Figures:
    from mlcore.decoding.language.batches import answers
    from mlcore.decoding.language.evaluate import evaluate
    from mlcore.decoding.language.prompts import Task
    from mlcore.decoding.networks.checkpoints import load
    from mlcore.retrieval.data import read_table

    _needed(data, "pairs")
    pairs = read_table(data["pairs"])[:LM_PAIRS]
    device = work.device()
    model = load(folder, device=device)
    done = 0

    def generate(task: Task, given: Sequence[str]) -> list[str]:
        nonlocal done
        found: list[str] = []
        for first in range(0, len(given), _LM_BLOCK):
            if progress.stopping:
                raise Stopped
            block = answers(model, device, task, given[first : first + _LM_BLOCK])
            found += block
            done += len(block)
            progress.update(done, 2 * len(pairs))
        return found

    found, _ = evaluate(generate, pairs, progress)
    figures = {
        f"{way} {name}": float(value)
        for way in ("text_to_smiles", "smiles_to_text")
        for name, value in found[way].items()
    }
    return figures | {"pairs": float(found["pairs"])}


#: area → what measures a model folder of it on named files
MEASURES: dict[str, Callable[[Path, Mapping[str, Path], JobProgress], Figures]] = {
    "retrieval": _retrieval,
    "monge": _monge,
    "lm": _lm,
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
    limit = f" --limit {LM_PAIRS}" if area == "lm" else ""
    return f"python -m mlcore evaluate {area} --model DIR {files}{limit}"
