"""The page of one job: watching it, its curves, what is done to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST, require_safe

from webapp.jobs import acting, curves, live
from webapp.jobs.problems import friendly
from webapp.jobs.rights import needs
from webapp.jobs.views.files import attached, named
from webapp.streaming import last_seen, stream
from workers import board, jobs, kinds
from workers.inference import BadInput
from workers.models import Job


@require_safe
@never_cache
@needs("workers.view_job")
@friendly
def page(request: HttpRequest, job: UUID) -> HttpResponse:
    """All about a job; its curves are drawn by a request of their own, or here where there are no scripts."""
    row = jobs.get(str(job), request.user)
    shown = live.shown(row, request.user) | {
        "children": row.children.all()[:20],
        "parent": row.parent,
        "evaluations": row.evaluations.select_related("version"),
        "kind": kinds.KINDS.get(row.kind),
        "x": request.GET.get("x", "step"),
        "parameters": _parameters(row),
    }
    if request.GET.get("curves"):
        shown |= _curves(request, row)
    return render(request, "jobs/job.html", shown)


@require_safe
@never_cache
@needs("workers.view_job")
@friendly
def look(request: HttpRequest, job: UUID) -> HttpResponse:
    """The changing parts once, for browsers without an event stream."""
    row = jobs.get(str(job), request.user)
    return JsonResponse(live.parts(row, request.user, get_token(request)))


@require_GET
@needs("workers.view_job")
@friendly
def events(request: HttpRequest, job: UUID) -> HttpResponse:
    """The changing parts as server-sent events, until the job has ended."""
    row = jobs.get(str(job), request.user)
    news = live.follow(str(row.pk), request.user, last_seen(request), get_token(request))
    return stream(request, news)


@require_safe
@never_cache
@needs("workers.view_job")
@friendly
def curves_section(request: HttpRequest, job: UUID) -> HttpResponse:
    """The charts."""
    row = jobs.get(str(job), request.user)
    return render(request, "jobs/_curves.html", _curves(request, row) | {"row": row})


@require_safe
@needs("workers.view_job")
@friendly
def download(request: HttpRequest, job: UUID, extension: str) -> HttpResponse:
    """One chart as SVG, or its points as CSV; all of them as CSV where no chart is named."""
    row = jobs.get(str(job), request.user)
    name = request.GET.get("chart", "")
    charts, _axes, points = curves.of_job(row, request.GET.get("x", "step"))
    stem = f"{row.kind}-{str(row.pk)[:8]}{'-' + name if name else ''}"
    if extension == "csv":
        wanted = [named(charts, name)] if name else charts
        members = [line.name for chart in wanted for line in chart.lines]
        return attached(curves.csv_of(points, members), stem, extension)
    return attached(named(charts, name).svg(alone=True), stem, extension)


def _posted(act: Callable[[Job, Any], None], said: str) -> Callable[..., HttpResponse]:
    @require_POST
    @needs("workers.view_job", "workers.change_job")
    @friendly
    def view(request: HttpRequest, job: UUID) -> HttpResponse:
        row = jobs.get(str(job), request.user)
        act(row, request.user)
        messages.success(request, said)
        return redirect("jobs:job", job=row.pk)

    return view


stop = _posted(acting.stop, "It was asked to stop.")
resume = _posted(acting.resume, "It is in the queue again.")


@require_http_methods(["GET", "HEAD", "POST"])
@needs("workers.view_job", "workers.change_job")
@friendly
def delete(request: HttpRequest, job: UUID) -> HttpResponse:
    """Ask once, with the size, then delete row, curves and files."""
    row = jobs.get(str(job), request.user)
    if request.method == "POST":
        acting.delete(row, request.user)
        messages.success(request, f"The job {acting.named(row)} and its files are deleted.")
        return redirect("jobs:list")
    if "delete" not in board.actions(row):
        raise BadInput(f"The job is {board.standing(row)}.", "job", "Stop it first.")
    size = acting.size(row)
    return render(request, "jobs/delete.html", {"chosen": [(row, size)], "total": size, "one": row})


def _curves(request: HttpRequest, row: Job) -> dict[str, Any]:
    charts, axes, points = curves.of_job(row, request.GET.get("x", "step"))
    chosen = request.GET.get("x", "step")
    return {
        "charts": [(chart, chart.svg()) for chart in charts],
        "axes": axes,
        "x": chosen if chosen in axes else "step",
        "measured": len(points),
        "resumed": any(line.gaps for chart in charts for line in chart.lines),
    }


def _parameters(row: Job) -> list[tuple[str, Any]]:
    """Parameters by dotted name."""
    out: list[tuple[str, Any]] = []
    for name, value in row.parameters.items():
        if isinstance(value, dict):
            out += [(f"{name}.{key}", entry) for key, entry in value.items()]
        else:
            out.append((name, value))
    return out
