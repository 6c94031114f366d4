"""From a file of molecules to a library folder: :func:`build`.

    file -> lines -> records -> worker processes (RDKit) -> duplicates merged -> the model -> committed, step
    by step

A dry run takes the same way up to the model and writes nothing.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import time
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from rdkit import rdBase

from mlcore.retrieval.building import Building, Merge, NewRow, State, Step
from mlcore.retrieval.dry_run import DryRun
from mlcore.retrieval.encoder import Encoder, encode
from mlcore.retrieval.encoding import MoleculeEncoding
from mlcore.retrieval.manifest import SCHEMA_VERSION, sha256
from mlcore.retrieval.pool import Failure, WorkerPool
from mlcore.retrieval.preparation import Preparation, Prepared
from mlcore.retrieval.readers import open_molecules
from mlcore.retrieval.records import RawRecord, Reader
from mlcore.retrieval.report import RAW, SHOWN, ImportReport, Refusal
from mlcore.retrieval.sources import Limits
from mlcore.retrieval.vectors import placement
from mlcore.retrieval.vectors.milvus_place import read_place
from mlcore.retrieval.vectors.policy import IndexPolicy
from mlcore.runtime.errors import InputError
from mlcore.runtime.progress import NullProgress, Progress

__all__ = ["ImportReport", "Refusal", "build"]

_CHUNK = 64
_TEXTS = 128

Outcome = tuple[RawRecord, Prepared | str]


def build(
    source: str | Path,
    out: str | Path,
    model: Encoder | None,
    *,
    name: str | None = None,
    progress: Progress | None = None,
    resume: bool = True,
    dry_run: bool = False,
    limits: Limits | None = None,
    workers: int | None = None,
    policy: IndexPolicy | None = None,
    commit_every: int = 1024,
    refused_file: str | Path | None = None,
    vector_store: str | None = None,
) -> ImportReport:
    """Import the molecules of ``source`` (.smi, .sdf, .csv, .tsv, gzipped or not) into the library folder
    ``out``.

    With ``dry_run`` everything is read and checked and nothing is written (``model`` may be None). With
    ``resume`` an interrupted import of the same file by the same model goes on where it was last committed;
    rows are committed every ``commit_every`` records. A library already at ``out`` stays in place, and
    readable, until the new one is whole. ``refused_file`` asks for a copy of the refused records, also of a
    dry run. When ``progress`` asks to stop, the report has ``finished=False``. ``vector_store`` says where the
    vectors go, as the environment's ``VECTOR_STORE`` does where it is None: empty for a FAISS file in the folder,
    else the address of a Milvus (:mod:`.vectors.milvus_place`).

    Raises :class:`InputError` when the file cannot be used at all, :class:`LibraryError` when the folder
    or the vector store cannot be written.
    """
    started = time.monotonic()
    limits, progress = limits or Limits(), progress or NullProgress()
    source, out = Path(source), Path.cwd() / out
    copy = Path(refused_file) if refused_file else None
    place = None if dry_run else read_place(vector_store)
    placement.check(place)  # now, not after hours of encoding
    reader = open_molecules(source, limits)
    if dry_run:
        sink: DryRun | Building = DryRun(copy)
    elif model is None:
        raise ValueError("an import needs a model; only a dry run does without")
    else:
        sink = _building(reader, out, model, limits, resume)
        if sink.resumed:
            progress.log(f"Going on after record {sink.state.records:,} of an interrupted import.")
    try:
        run = _Import(reader, sink, None if dry_run else model, progress)
        finished = sink.state.read or run.everything(limits, workers, commit_every)
        if finished and not dry_run:
            _require_rows(reader, sink)
        refusals = sink.refusals()
        refused_at: Path | None = None
        if isinstance(sink, DryRun):
            refused_at = copy if sink.state.refused else None
        elif finished and model is not None:
            facts = _facts(reader, out, model, name or out.name)
            written = sink.finish(facts, policy or IndexPolicy(), place)
            refused_at = _handed_out(out, written, copy)
    except InputError:
        sink.abandon(remove=True)
        raise
    except BaseException:
        with suppress(sqlite3.Error, OSError):
            sink.abandon()
        raise
    if dry_run or not finished:
        sink.abandon()
    state = sink.state
    return ImportReport(
        read=state.records,
        used=state.used,
        refused=state.refused,
        duplicates=state.duplicates,
        refusals=tuple(Refusal(*values) for values in refusals),
        refused_file=refused_at,
        dry_run=dry_run,
        finished=finished,
        format=reader.format,
        columns=dict(reader.columns),
        notes=state.notes,
        seconds=time.monotonic() - started,
    )


def _building(reader: Reader, out: Path, model: Encoder, limits: Limits, resume: bool) -> Building:
    """The folder under construction; an earlier one is continued when all that its rows hang on is equal."""
    settings = {
        "schema": SCHEMA_VERSION,
        "source": sha256(reader.source.path),
        "file": reader.source.path.name,
        "model": model.fingerprint,
        "limits": asdict(limits),
        "rdkit": rdBase.rdkitVersion,
    }
    refused = f"refused.{reader.format}"
    return Building(
        out,
        settings,
        dim=model.dim,
        fine=model.fine,
        wording=getattr(model, "text_width", None),
        refused_name=refused,
        resume=resume,
    )


def _facts(reader: Reader, out: Path, model: Encoder, name: str) -> dict[str, Any]:
    """What the manifest says beside the counts and files."""
    path = reader.source.path
    return {
        "id": out.name if re.fullmatch(r"[\w.~-]+", out.name, re.ASCII) else _slug(out.name) or "library",
        "name": name,
        "model": model.fingerprint,
        "fine": model.fine,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "rdkit": rdBase.rdkitVersion,
        "source": {
            "file": path.name,
            "sha256": sha256(path),
            "bytes": reader.source.bytes,
            "format": reader.format,
        },
    }


def _handed_out(out: Path, written: dict[str, Any], copy: Path | None) -> Path | None:
    """Where the refused records are, copied to ``copy`` if asked."""
    if not written["refused_file"]:
        return None
    kept = out / written["refused_file"]
    return Path(shutil.copyfile(kept, copy)) if copy else kept


def _require_rows(reader: Reader, sink: _Sink) -> None:
    if sink.state.used:
        return
    refusals = [Refusal(*values) for values in sink.refusals()]
    if not refusals:
        raise InputError(f"The file {reader.source.path.name} holds no molecules.", field="molecules")
    raise InputError(
        f"None of the {sink.state.records:,} records of {reader.source.path.name} can be used.",
        field="molecules",
        place=str(refusals[0]),
        remedy="Mend the file and try again.",
    )


class _Sink(Protocol):
    """Where an import puts its steps: a folder under construction, or nowhere."""

    state: State

    def find(self, identity: str, /) -> int | None: ...
    def id_taken(self, identifier: str, /) -> bool: ...
    def has_text(self, idx: int, text: str, /) -> bool: ...
    def refusals(self) -> list[tuple[int, int, str, str]]: ...
    def commit(self, step: Step, /) -> None: ...
    def abandon(self, *, remove: bool = False) -> None: ...


@dataclass
class _Sorted:
    """What one step adds, before and after the model has seen it."""

    rows: list[NewRow] = field(default_factory=list)
    merges: list[Merge] = field(default_factory=list)
    texts: dict[tuple[int, str], None] = field(default_factory=dict)
    refusals: list[tuple[RawRecord, str]] = field(default_factory=list)
    renamed: int = 0


class _Import:
    """One run through a file."""

    def __init__(self, reader: Reader, sink: _Sink, model: Encoder | None, progress: Progress) -> None:
        self._reader = reader
        self._sink = sink
        self._model = model
        self._progress = progress
        self._file = reader.source.path.name
        self._numbers: dict[str, int] = {}

    def everything(self, limits: Limits, workers: int | None, commit_every: int) -> bool:
        """Read from where the sink stands to the end; False when somebody asked to stop."""
        featurise = (
            getattr(self._model, "featurise", None) if hasattr(self._model, "encode_features") else None
        )
        count = workers or min(8, os.cpu_count() or 1)
        ahead = max(2 * count, commit_every // _CHUNK + count)
        held: list[Outcome] = []
        with WorkerPool(Preparation(limits, featurise), workers=count, seconds=limits.seconds) as pool:
            for records, answers in pool.map(self._chunks(), ahead):
                held.extend(_outcomes(records, answers))
                while len(held) >= commit_every:
                    self._step(held[:commit_every])
                    del held[:commit_every]
                    if self._progress.stopping:
                        return False
        self._step(held, last=True)
        return True

    def _chunks(self) -> Iterator[tuple[list[RawRecord], list[tuple[str, str]]]]:
        records = islice(self._reader.records(), self._sink.state.records, None)
        while chunk := list(islice(records, _CHUNK)):
            yield chunk, [(record.kind, record.structure) for record in chunk if record.fault is None]

    def _step(self, outcomes: Sequence[Outcome], last: bool = False) -> None:
        """Sort ``outcomes`` into new rows, duplicates and refusals, encode what is new, and commit."""
        encoding, outcomes = self._encoded(outcomes)
        before = self._sink.state
        step = self._sorted(outcomes, before)
        vectors = None
        if self._model is not None and step.texts:
            texts = [text for _, text in step.texts]
            parts = [texts[i : i + _TEXTS] for i in range(0, len(texts), _TEXTS)]
            encoded = [self._model.encode_texts(part) for part in parts]
            vectors = (
                np.concatenate([each.sentence for each in encoded]),
                np.concatenate([each.wordings for each in encoded]),
            )
        state = replace(
            before,
            records=before.records + len(outcomes),
            used=before.used + len(step.rows),
            refused=before.refused + len(step.refusals),
            duplicates=before.duplicates + len(step.merges),
            renamed=before.renamed + step.renamed,
            read=last,
            notes=before.notes,
        )
        if last:
            state = replace(state, notes=self._notes(state))
        shown = [
            (record.line, record.record, reason, record.raw[:RAW])
            for record, reason in step.refusals[: max(0, SHOWN - before.refused)]
        ]
        mend = "".join(self._reader.mend(record, reason) for record, reason in step.refusals)
        if mend and not before.refused:
            mend = self._reader.mend_header() + mend
        self._sink.commit(
            Step(state, step.rows, encoding, step.merges, list(step.texts), vectors, shown, mend)
        )
        share = 1.0 if last else self._reader.source.share
        self._progress.update(
            state.records,
            max(state.records, int(state.records / share)) if share else None,
            used=state.used,
            refused=state.refused,
            duplicates=state.duplicates,
        )

    def _notes(self, state: State) -> tuple[str, ...]:
        notes = list(dict.fromkeys(self._reader.source.notes))
        if state.renamed:
            notes.append(f"{state.renamed:,} ids stood for more than one molecule and were numbered.")
        return tuple(notes)

    def _encoded(self, outcomes: Sequence[Outcome]) -> tuple[MoleculeEncoding | None, Sequence[Outcome]]:
        """Encode each molecule of ``outcomes`` that the sink does not have; failures become refusals."""
        fresh: dict[str, Prepared] = {}
        for _, outcome in outcomes:
            if not isinstance(outcome, str) and self._sink.find(outcome.identity) is None:
                fresh.setdefault(outcome.identity, outcome)
        if self._model is None or not fresh:
            return None, outcomes
        encoding, failed = encode(self._model, list(fresh.values()))
        if failed:
            keys = list(fresh)
            reasons = {keys[position]: reason for position, reason in failed.items()}
            outcomes = [
                (record, outcome if isinstance(outcome, str) else reasons.get(outcome.identity, outcome))
                for record, outcome in outcomes
            ]
        return encoding, outcomes

    def _sorted(self, outcomes: Sequence[Outcome], before: State) -> _Sorted:
        step = _Sorted()
        new: dict[str, int] = {}
        ids: set[str] = set()
        for record, outcome in outcomes:
            if isinstance(outcome, str):
                step.refusals.append((record, outcome))
                continue
            found = new.get(outcome.identity)
            idx = self._sink.find(outcome.identity) if found is None else found
            source = record.source or f"{self._file}, line {record.line}"
            if idx is None:
                idx = before.used + len(step.rows)
                new[outcome.identity] = idx
                identifier = self._free_id(record, outcome, ids)
                step.renamed += bool(record.id) and identifier != record.id
                name = record.name or record.id
                others = dict.fromkeys(other for other in record.synonyms if other != name)
                step.rows.append(
                    NewRow(idx, identifier, name, tuple(others), source, record.category, outcome)
                )
                known = False
            else:
                others = dict.fromkeys((*record.synonyms, *((record.id,) if record.id else ())))
                step.merges.append(Merge(idx, record.name, tuple(others), source))
                known = idx < before.used
            for text in record.descriptions:
                if not (known and self._sink.has_text(idx, text)):
                    step.texts[idx, text] = None
        return step

    def _free_id(self, record: RawRecord, molecule: Prepared, ids: set[str]) -> str:
        """The record's own id, else one from its name or InChIKey; numbered when another molecule has it."""
        wanted = record.id or _slug(record.name) or molecule.inchikey or f"record-{record.record}"
        found, number = wanted, self._numbers.get(wanted, 0) + 1
        while found in ids or self._sink.id_taken(found):
            number += 1
            found = f"{wanted}-{number}"
        if number > 1:
            self._numbers[wanted] = number - 1
        ids.add(found)
        return found


def _outcomes(records: Sequence[RawRecord], answers: Sequence[Any]) -> Iterator[Outcome]:
    """Each record with what became of it: the prepared molecule, or why it is refused."""
    given = iter(answers)
    for record in records:
        if record.fault is not None:
            yield record, record.fault
            continue
        answer = next(given)
        if isinstance(answer, Failure) or not isinstance(answer, Prepared):
            yield record, answer.reason
        else:
            yield record, answer


def _slug(text: str) -> str:
    """``"(R)-Linalool oxide"`` -> ``r-linalool-oxide``; empty when nothing is left."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    words = re.sub(r"[^a-z0-9]+", "-", "".join(c for c in plain if not unicodedata.combining(c))).strip("-")
    return words[:80].strip("-")
