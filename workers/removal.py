"""Taking things away: row and files together, and never what something else rests on."""

from __future__ import annotations

import shutil
from typing import Any

from django.conf import settings
from django.db import transaction

from workers import audit, disk, events, registry, work
from workers.errors import BadInput
from workers.models import Job, ModelVersion


def delete_version(version: ModelVersion, who: Any) -> int:
    """Delete a version's row and files together; bytes freed.

    Raises BadInput for one that answers, or that another version or an open job rests on.
    """
    if version.active:
        raise BadInput(f"{version} answers now.", "version", "Promote another or roll back first.")
    if version.children.exists():
        raise BadInput(
            f"Other versions were made from {version}.", "version", "Delete those first, if they may go."
        )
    for job in Job.objects.filter(kind="evaluation", state__in=Job.OPEN, parameters__version=version.pk):
        raise BadInput(f"{version} is being evaluated.", "version", f"Stop the job {job} first.")
    folder = registry.resolve(version.folder)
    size = disk.size(folder)
    doomed = folder.with_name(f"{folder.name}.deleted-{version.pk}")
    with transaction.atomic():
        subject = f"model/{version.place} v{version.version}"
        audit.record(who, "delete", subject, {"hash": version.hash, "bytes": size})
        version.delete()
        if folder.exists() and folder.is_relative_to(settings.FERRY_DATA):
            folder.rename(doomed)  # undone by nothing but the end of this transaction, which follows at once
    shutil.rmtree(doomed, ignore_errors=True)
    return size


def delete_job(job: Job, who: Any) -> int:
    """Delete a job's row, its curves and its folder; bytes freed. Raises BadInput for an open one or a model's home."""
    if job.state in Job.OPEN:
        raise BadInput(f"The job is {job.state}.", "job", "Stop it first.")
    folder = work.folder_of(job)
    home = [row for row in job.models.all() if registry.resolve(row.folder).is_relative_to(folder)]
    if home:
        names = ", ".join(f"{row.place} v{row.version}" for row in home)
        raise BadInput(f"The files of {names} are in this job's folder.", "job", "Delete the version first.")
    size = disk.size(folder)
    with transaction.atomic():
        audit.record(who, "delete", f"job/{job.pk}", {"kind": job.kind, "bytes": size})
        stream = job.stream
        Job.objects.filter(pk=job.pk).delete()
    shutil.rmtree(folder, ignore_errors=True)
    events.forget(stream)
    return size
