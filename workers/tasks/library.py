"""Import a file of molecules: validate, encode, index, swap in. Taken up where it was left after a kill."""

from __future__ import annotations

from typing import Any

from workers import registry, science, uploads
from workers.errors import NotFound, translated
from workers.kinds import LibraryParameters
from workers.models import Job, Library
from workers.work import JobProgress


def run(parameters: LibraryParameters, job: Job, progress: JobProgress) -> dict[str, Any]:
    """Build the library's folder, then say in its row that it can be searched."""
    rows = Library.objects.filter(pk=parameters.library)
    library = rows.first()
    if library is None:
        raise NotFound("The library was deleted before its import began.")
    if library.state == Library.State.READY:  # killed between the last step and the end of the job
        return library.report
    upload = uploads.find(parameters.upload)
    try:
        with uploads.in_its_name(upload), translated():
            report, manifest = _build(upload, library, parameters.name, progress)
    except BaseException:
        rows.update(state=Library.State.FAILED)
        raise
    if manifest is None:
        rows.update(state=Library.State.FAILED)
        return {"stopped": True}
    made = rows.update(
        state=Library.State.READY,
        size=manifest["rows"],
        fingerprint=manifest["fingerprint"],
        model_hash=manifest["model"],
        report=report,
    )
    uploads.discard(parameters.upload)
    if not made:  # deleted meanwhile: its owner wants it gone
        from workers.libraries import remove

        remove(library)
        raise NotFound("The library was deleted while it was being imported.")
    return report


def _build(
    upload: uploads.Upload, library: Library, name: str, progress: JobProgress
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Report and manifest; no manifest where the work was stopped half-way."""
    from mlcore.retrieval.library import build
    from mlcore.retrieval.manifest import read_manifest

    library.folder.parent.mkdir(parents=True, exist_ok=True)
    model = science.load_model(registry.active("retrieval").folder)
    report = build(upload.path, library.folder, model, name=name, progress=progress, resume=True)
    return science.report_json(report), read_manifest(library.folder) if report.finished else None
