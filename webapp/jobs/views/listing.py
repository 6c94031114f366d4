"""The list of jobs, and what is done to several at once."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from webapp.jobs import acting, listing
from webapp.jobs.problems import friendly
from webapp.jobs.rights import needs
from workers import jobs
from workers.inference import BadInput
from workers.models import Job

MOST_REASONS = 5


@require_safe
@never_cache
@vary_on_headers("HX-Request")
@needs("workers.view_job")
@friendly
def index(request: HttpRequest) -> HttpResponse:
    """The jobs; htmx gets the table alone."""
    page, filters = listing.read(request.GET, request.user)
    shown = {
        "page": page,
        "filters": filters,
        "may_change": request.user.has_perm("workers.change_job"),
        "may_add": request.user.has_perm("workers.add_job"),
    }
    inside = request.htmx and not request.htmx.history_restore_request
    return render(request, "jobs/_table.html" if inside else "jobs/index.html", shown)


@require_POST
@needs("workers.view_job", "workers.change_job")
@friendly
def bulk(request: HttpRequest) -> HttpResponse:
    """Stop, resume or delete what is ticked; a deletion asks once more, with the sizes."""
    verb = request.POST.get("action", "")
    if verb not in acting.VERBS:
        raise BadInput(
            "This is nothing that can be done to jobs.", "action", f"Choose {', '.join(acting.VERBS)}."
        )
    chosen = [jobs.get(pk, request.user) for pk in request.POST.getlist("job")[: listing.PAGE]]
    back = _back(request)
    if not chosen:
        messages.warning(request, "No job was ticked, so nothing was done.")
        return redirect(back)
    if verb == "delete" and not request.POST.get("sure"):
        shown = {
            "chosen": [(job, acting.size(job)) for job in chosen if job.state not in Job.OPEN],
            "left_out": [job for job in chosen if job.state in Job.OPEN],
            "back": back,
            "query": request.POST.get("query", ""),
        }
        shown["total"] = sum(size for _, size in shown["chosen"])
        return render(request, "jobs/delete.html", shown)
    done, refused = acting.each(verb, chosen, request.user)
    if done:
        messages.success(request, f"{done} {'job' if done == 1 else 'jobs'} {acting.VERBS[verb].done}.")
    if refused:
        more = f" And {len(refused) - MOST_REASONS} more." if len(refused) > MOST_REASONS else ""
        messages.warning(request, f"Left as they are: {' '.join(refused[:MOST_REASONS])}{more}")
    return redirect(back)


def _back(request: HttpRequest) -> str:
    """The list as it was filtered."""
    query = QueryDict(request.POST.get("query", "").lstrip("?")[:2000])
    return f"{reverse('jobs:list')}?{query.urlencode()}" if query else reverse("jobs:list")
