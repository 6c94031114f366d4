"""Data sets: what is there, bringing one, taking one away."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from webapp.jobs.problems import friendly, told
from webapp.jobs.rights import needs
from workers import audit, datasets
from workers.inference import BadInput, NotFound


@require_http_methods(["GET", "HEAD", "POST"])
@needs("workers.view_job", "workers.add_job")
@friendly
def index(request: HttpRequest) -> HttpResponse:
    """The list, and the form for another; a POST stores a file as it arrives."""
    problem = None
    if request.method == "POST":
        file = request.FILES.get("file")
        try:
            if file is None:
                raise BadInput("No file was chosen.", "file", "Choose a file first.")
            made = datasets.store(file)
        except BadInput as error:
            problem = told(error)
        else:
            audit.record(request.user, "upload", f"data/{made.name}", {"bytes": made.size})
            messages.success(request, f"The data set “{made.name}” is stored.")
            return redirect("jobs:data")
    shown = {
        "sets": datasets.listing(),
        "problem": problem,
        "endings": datasets.ENDINGS,
        "limit": settings.FERRY_MAX_UPLOAD,
    }
    return render(request, "jobs/data.html", shown, status=422 if problem else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@needs("workers.view_job", "workers.change_job")
@friendly
def delete(request: HttpRequest, name: str) -> HttpResponse:
    """Ask once, with the size, then delete the file."""
    entry = _own(name)
    if request.method != "POST":
        return render(request, "jobs/data_delete.html", {"entry": entry})
    datasets.remove(entry.name)
    audit.record(request.user, "delete", f"data/{entry.name}", {"bytes": entry.size})
    messages.success(request, f"The data set “{entry.name}” is deleted.")
    return redirect("jobs:data")


def _own(name: str) -> Any:
    found = next((entry for entry in datasets.listing() if entry.name == name and entry.own), None)
    if found is None:
        raise NotFound(f"There is no data set '{name[:80]}' that can be deleted here.")
    return found
