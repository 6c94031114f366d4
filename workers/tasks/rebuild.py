"""Encode a library again with the model in use, from its own rows; the old one answers until the new one is whole."""

from __future__ import annotations

from typing import Any

from workers import registry, science, work
from workers.errors import NotFound, translated
from workers.kinds import RebuildParameters
from workers.models import Job, Library
from workers.work import JobProgress


def run(parameters: RebuildParameters, job: Job, progress: JobProgress) -> dict[str, Any]:
    """Build the library's folder anew and swap it in; nothing is done where the model in use has built it already."""
    rows = Library.objects.filter(pk=parameters.library, state=Library.State.READY)
    library = rows.first()
    if library is None:
        raise NotFound("The library was deleted before it could be rebuilt.")
    folder = registry.active("retrieval").folder
    if science.built_by(library.folder) == registry.read_card(folder).get("sha256"):
        return {"rows": library.size, "rebuilt": False}
    with translated():
        manifest = _build(library, folder, job, progress)
    if manifest is None:
        return {"stopped": True}
    rows.update(size=manifest["rows"], fingerprint=manifest["fingerprint"], model_hash=manifest["model"])
    return {"rows": manifest["rows"], "rebuilt": True}


def _build(library: Library, model: Any, job: Job, progress: JobProgress) -> dict[str, Any] | None:
    """The new manifest; None where the work was stopped half-way."""
    from mlcore.retrieval.library import build
    from mlcore.retrieval.manifest import read_manifest
    from mlcore.retrieval.rebuilding import write_source

    out = work.folder_of(job)
    out.mkdir(parents=True, exist_ok=True)
    table = out / f"{library.pk}.tsv"
    if not table.exists():  # an earlier attempt that was killed goes on with the same table
        part = table.with_suffix(".part")
        write_source(library.folder, part)
        part.replace(table)
    loaded = science.load_model(model)
    report = build(table, library.folder, loaded, name=library.name, progress=progress, resume=True)
    if not report.finished:
        return None
    table.unlink()
    return read_manifest(library.folder)
