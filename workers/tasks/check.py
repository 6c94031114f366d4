"""Read a file of molecules as an import would, and write nothing but a report beside the upload.

Killed half-way it is read again from the start; a report that is there already is not made twice.
"""

from __future__ import annotations

from typing import Any

from workers import science, uploads
from workers.errors import translated
from workers.kinds import CheckParameters
from workers.models import Job
from workers.work import JobProgress

COUNTS = ("read", "used", "refused", "duplicates", "sentence")


def run(parameters: CheckParameters, job: Job, progress: JobProgress) -> dict[str, Any]:
    """Leave the report, and the refused records as a file to mend, beside the upload; the counts."""
    upload = uploads.find(parameters.upload)
    report = uploads.read_report(upload)
    if report is None:
        with uploads.in_its_name(upload), translated():
            report = _read(upload, progress)
        if not report["finished"]:
            return {"stopped": True}
        uploads.write_report(upload, report)
    return {name: report[name] for name in COUNTS}


def _read(upload: uploads.Upload, progress: JobProgress) -> dict[str, Any]:
    from mlcore.retrieval.library import build

    out = upload.folder / "library"  # named, never made
    report = build(upload.path, out, None, dry_run=True, progress=progress, refused_file=upload.refused_path)
    return science.report_json(report)
