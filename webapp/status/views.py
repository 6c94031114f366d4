"""How the installation stands: administrators see all of it and may act, trainers see it without settings and paths."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from webapp.status import words
from workers import audit, notices, rebuilding, status

SEES = "workers.view_worker"
RUNS = "workers.view_auditentry"


@require_safe
@login_required
@permission_required(SEES, raise_exception=True)
@never_cache
def page(request: HttpRequest) -> HttpResponse:
    """Everything on one page."""
    runs = request.user.has_perm(RUNS)
    found = status.report(private=runs)
    facts = {"report": words.readable(found), "troubles": status.troubles(found), "runs": runs}
    return render(request, "status/page.html", facts)


@require_POST
@login_required
@permission_required(RUNS, raise_exception=True)
def notice(request: HttpRequest) -> HttpResponse:
    """Send a test notice over every channel that is configured, and say whether it was taken."""
    sent: list[dict[str, Any]] = notices.send_test(request.user.get_username())
    for entry in sent:
        level = messages.SUCCESS if entry["sent"] else messages.ERROR
        messages.add_message(request, level, f"Test notice, {entry['channel']}: {entry['message']}")
    if not sent:
        messages.error(request, "No notices are configured.")
    audit.record(request.user, "test notice", "notices", {entry["channel"]: entry["sent"] for entry in sent})
    return redirect("status:page")


@require_POST
@login_required
@permission_required(RUNS, raise_exception=True)
def rebuild(request: HttpRequest) -> HttpResponse:
    """Begin to rebuild every library that an earlier model built."""
    made = rebuilding.begin(by=request.user)
    messages.success(request, f"{len(made)} rebuilds have begun." if made else "There is nothing to rebuild.")
    return redirect("status:page")
