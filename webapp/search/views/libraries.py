"""Libraries: what is there, having a file checked, bringing one, watching it being made, taking it away."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from webapp.search import uploads
from webapp.search.problems import friendly
from webapp.search.shelves import shelf
from workers import inference, libraries


@require_safe
@friendly
def index(request: HttpRequest) -> HttpResponse:
    """The libraries one may read, and the form for another."""
    return render(request, "libraries/index.html", {"shelf": shelf(request.user)})


@require_POST
@login_required
@friendly
def check(request: HttpRequest) -> HttpResponse:
    """Begin the dry run, which tells what would be used, refused and merged, and go to its progress or report."""
    try:
        job = uploads.begin_check(request.FILES.get("file"), request.POST.get("name", ""), request.user)
    except inference.BadInput as error:
        shown = {"shelf": shelf(request.user), "problem": uploads.problem_of(error)}
        return render(request, "libraries/index.html", shown, status=422)
    return redirect("search:library-job", job=job["id"])


@require_POST
@login_required
@friendly
def start(request: HttpRequest) -> HttpResponse:
    """Make a library of a checked file, and go to its progress."""
    job = libraries.start_import(request.POST.get("token", ""), request.POST.get("name", ""), request.user)
    return redirect("search:library-job", job=job["id"])


@require_safe
@login_required
@friendly
def job(request: HttpRequest, job: str) -> HttpResponse:
    """How far a check or an import is, then what came of it; htmx asks again until it has ended."""
    shown = uploads.watched(libraries.job_status(job, request.user), request.user)
    template = "libraries/_job.html" if request.htmx else "libraries/job.html"
    return render(request, template, shown)


@require_POST
@login_required
@friendly
def stop(request: HttpRequest, job: str) -> HttpResponse:
    """Ask a check or an import to stop at its next step."""
    libraries.stop_job(job, request.user)
    return redirect("search:library-job", job=job)


@require_POST
@login_required
@friendly
def again(request: HttpRequest, job: str) -> HttpResponse:
    """Try a check or an import again that has ended without a result: its owner may, and who manages jobs."""
    libraries.retry_job(job, request.user)
    return redirect("search:library-job", job=job)


@require_safe
@login_required
@friendly
def refused(request: HttpRequest, token: str) -> HttpResponse:
    """The refused records of a checked file, as a file to mend."""
    return uploads.refused_file(token, request.user)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@friendly
def delete(request: HttpRequest, library: str) -> HttpResponse:
    """Ask once, then delete a library with its files."""
    entry = uploads.mine(library, request.user)
    if request.method != "POST":
        return render(request, "libraries/delete.html", {"library": entry})
    libraries.delete_library(library, request.user)
    messages.success(request, f"The library “{entry['name']}” and its files are deleted.")
    return redirect("search:libraries")
