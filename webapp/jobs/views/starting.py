"""Starting a job: choose a kind, fill in its form."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from webapp.jobs import wording
from webapp.jobs.problems import friendly, told
from webapp.jobs.rights import needs
from webapp.jobs.starting import StartForm, initial_of
from workers import jobs, kinds
from workers.inference import BadInput, Busy


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@needs("workers.view_job", "workers.add_job")
@friendly
def new(request: HttpRequest) -> HttpResponse:
    """The kinds, or the form of one; a form that is in order begins a job, sent twice it is still one."""
    sent = request.POST if request.method == "POST" else request.GET
    parent = jobs.get(sent["from"], request.user) if sent.get("from") else None
    name = parent.kind if parent is not None else sent.get("kind", "")
    if not name:
        return render(request, "jobs/kinds.html", {"kinds": list(kinds.offered())})
    kind = kinds.find(name)
    if kind.internal:
        raise BadInput(
            f"A job of kind '{kind.title}' is begun by another page.", "kind", "See the libraries."
        )
    initial = {**(initial_of(parent) if parent is not None else {}), **_given(request)}
    preset = sent.get("preset") or (parent.parameters.get("preset", "") if parent is not None else "")
    data = request.POST if request.method == "POST" else None
    form = StartForm(kind, preset, data, parent=parent, initial=initial)
    problem = None
    if data is not None and form.is_valid():
        try:
            job = form.submit(request.user)
        except Busy as error:
            job, problem = None, told(error)
        if job is not None:
            messages.success(request, "The job is in the queue.")
            return redirect("jobs:job", job=job.pk)
    status = problem.status if problem is not None else 422 if form.errors else 200
    shown = {
        "form": form,
        "kind": kind,
        "outlook": wording.outlook(kind.name),
        "problem": problem,
        "parent": parent,
    }
    return render(request, "jobs/new.html", shown, status=status)


def _given(request: HttpRequest) -> dict[str, str]:
    """Values of the form that stand in the address: those of a changed preset, or a version to measure."""
    return {name: value for name, value in request.GET.items() if value and name not in ("preset", "key")}
