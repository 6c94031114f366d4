"""Measuring a language model of molecules: text → SMILES and SMILES → text, with bootstrap intervals."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from mlcore.decoding.language.smiles_metrics import score_smiles
from mlcore.decoding.language.text_metrics import TOKENISATION, score_texts
from mlcore.retrieval.data import Row
from mlcore.runtime.errors import InputError
from mlcore.runtime.progress import Progress

if TYPE_CHECKING:
    from mlcore.decoding.language.prompts import Task

#: samples of the bootstrap that are held in memory at once: (_DRAWS, pairs) float64
_DRAWS = 50
_COLUMNS = ("id", "direction", "SMILES", "description", "ground truth", "output")


class Generate(Protocol):
    """Answers in the order of what was given: SMILES for texts, or texts for SMILES."""

    def __call__(self, task: Task, given: Sequence[str]) -> list[str]: ...


@dataclass(frozen=True)
class Predictions:
    """What a model answered to n pairs; each a single line, white space joined to single blanks."""

    molecules: list[str]  # to the descriptions
    descriptions: list[str]  # to the SMILES


@dataclass(frozen=True)
class Bootstrap:
    """Percentile intervals over resampled pairs (Efron 1979)."""

    samples: int = 1000
    seed: int = 0
    level: float = 0.95


def evaluate(
    generate: Generate,
    pairs: Sequence[Row],
    progress: Progress,
    *,
    model: str = "",
    bootstrap: Bootstrap = Bootstrap(),
    processes: int = 2,
) -> tuple[dict[str, Any], Predictions]:
    """Ask for every pair in both directions and score the answers: the result (see :func:`score`) and the answers.

    ``seconds`` are of asking and scoring, ``generation_seconds`` of asking alone.

    Raises:
        InputError: there are no pairs, or one has no description.
        ValueError: ``generate`` gave another number of answers than it was asked for.
    """
    started = time.monotonic()
    predictions = predict(generate, pairs, progress)
    generated = time.monotonic() - started
    result = score(pairs, predictions, progress, bootstrap=bootstrap, processes=processes)
    result |= {
        "model": model,
        "generation_seconds": round(generated, 1),
        "seconds": round(time.monotonic() - started, 1),
    }
    return result, predictions


def predict(generate: Generate, pairs: Sequence[Row], progress: Progress) -> Predictions:
    """The answers of ``generate`` to ``pairs`` in both directions; raises as :func:`evaluate` does."""
    if not pairs:
        raise InputError("There are no pairs.", field="--pairs")
    for row in pairs:
        if not row.description.strip():
            raise InputError(f"The pair {row.id} has no description.", field="--pairs")
    progress.log(f"asking for {len(pairs)} molecules")
    molecules = _asked(generate, "molecule", [row.description for row in pairs])
    progress.log(f"asking for {len(pairs)} descriptions")
    return Predictions(molecules, _asked(generate, "description", [row.smiles for row in pairs]))


def _asked(generate: Generate, task: Task, given: Sequence[str]) -> list[str]:
    answers = generate(task, given)
    if len(answers) != len(given):
        raise ValueError(f"{len(answers)} answers to {len(given)} questions for a {task}")
    return [one_line(answer) for answer in answers]


def one_line(text: str) -> str:
    """``text`` with white space joined to single blanks, as it is scored and as it fits into a table."""
    return " ".join(text.encode(errors="replace").decode().split())


def score(
    pairs: Sequence[Row],
    predictions: Predictions,
    progress: Progress,
    *,
    bootstrap: Bootstrap = Bootstrap(),
    processes: int = 2,
) -> dict[str, Any]:
    """The figures of answers to ``pairs``.

    ``{"text_to_smiles": {"validity", "exact", "bleu", "levenshtein", "maccs", "rdk", "morgan"}, "smiles_to_text":
    {"bleu2", "bleu4", "rouge1", "rouge2", "rougeL", "meteor"}, "ci95": the same names with [low, high], "details": …,
    "pairs", "tokenisation"}``. Shares are fractions, Levenshtein is in characters; what each is over is said in
    :mod:`~mlcore.decoding.language.smiles_metrics` and :mod:`~mlcore.decoding.language.text_metrics`. Raises
    ``ValueError`` where the numbers of pairs and answers differ or are 0.
    """
    progress.log("comparing molecules")
    smiles = score_smiles(predictions.molecules, [one_line(row.smiles) for row in pairs], processes)
    progress.log("comparing descriptions")
    texts = score_texts(predictions.descriptions, [one_line(row.description) for row in pairs])
    once = np.ones((1, len(pairs)))
    measured: dict[str, Callable[[np.ndarray], dict[str, np.ndarray]]] = {
        "text_to_smiles": smiles.figures,
        "smiles_to_text": texts.figures,
    }
    return {
        **{name: {key: float(value[0]) for key, value in of(once).items()} for name, of in measured.items()},
        "ci95": {name: intervals(of, len(pairs), bootstrap) for name, of in measured.items()},
        "details": {"text_to_smiles": smiles.details()},
        "pairs": len(pairs),
        "tokenisation": TOKENISATION,
    }


def intervals(
    figures: Callable[[np.ndarray], dict[str, np.ndarray]], pairs: int, bootstrap: Bootstrap
) -> dict[str, list[float]]:
    """The interval of every figure, ``[low, high]``; ``figures`` takes how often each pair occurs: (b, pairs)."""
    parts = [figures(weights) for weights in _resampled(pairs, bootstrap)]
    tail = (1.0 - bootstrap.level) / 2
    return {
        name: np.quantile(np.concatenate([part[name] for part in parts]), [tail, 1.0 - tail]).tolist()
        for name in parts[0]
    }


def _resampled(pairs: int, bootstrap: Bootstrap) -> Iterator[np.ndarray]:
    """How often each pair occurs in samples with replacement: (at most _DRAWS, pairs) at a time."""
    rng = np.random.default_rng(bootstrap.seed)
    for first in range(0, bootstrap.samples, _DRAWS):
        count = min(_DRAWS, bootstrap.samples - first)
        yield rng.multinomial(pairs, np.full(pairs, 1.0 / pairs), size=count).astype(float)


def write_predictions(path: Path, pairs: Sequence[Row], predictions: Predictions) -> None:
    """Write a TSV (gzipped if its name says so): id, direction, SMILES, description, ground truth, output.

    Both directions stand in it, one after the other; the rows of one of them, under the header, are what the published
    scripts of MolT5 read. Raises :class:`InputError` where the file cannot be written.
    """
    lines = ["\t".join(_COLUMNS)]
    for direction, answers in (
        ("text_to_smiles", predictions.molecules),
        ("smiles_to_text", predictions.descriptions),
    ):
        for row, answer in zip(pairs, answers, strict=True):
            smiles, description = one_line(row.smiles), one_line(row.description)
            truth = smiles if direction == "text_to_smiles" else description
            lines.append("\t".join((one_line(row.id), direction, smiles, description, truth, answer)))
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "wt", encoding="utf-8", newline="") as file:
            file.write("\n".join(lines) + "\n")
    except OSError as fault:
        raise InputError(
            f"The predictions cannot be written: {fault}.", field="--predictions", remedy="Give another file."
        ) from fault
