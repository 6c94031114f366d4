"""Models: what answers where, a version's card, comparing, promoting, rolling back, deleting."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from webapp.jobs import comparing, places
from webapp.jobs.problems import friendly
from webapp.jobs.promoting import PromoteForm, ServedForm, WhyForm
from webapp.jobs.rights import needs
from webapp.jobs.views.files import attached, named
from workers import registry, removal
from workers.inference import BadInput, NotFound
from workers.models import ModelVersion, Promotion

FORMS = ["GET", "HEAD", "POST"]


@require_safe
@never_cache
@needs("workers.view_modelversion")
@friendly
def index(request: HttpRequest) -> HttpResponse:
    """Every place with what answers there now, its versions and its history; and what answered at some moment."""
    found = places.all_places()
    asked = "at" in request.GET
    form = ServedForm([place.name for place in found], request.GET if asked else None)
    shown: dict[str, Any] = {"places": found, "form": form, "sizes": {}}
    for place in found:
        shown["sizes"] |= {version.pk: places.size(version) for version in place.versions}
    if asked and form.is_valid():
        place, at = form.cleaned_data["place"], form.cleaned_data["at"]
        area, _, slot = place.partition("/")
        number, sha256 = registry.served_at(area, slot, at)
        shown["served"] = {"place": place, "at": at, "number": number, "hash": sha256}
    return render(request, "models/index.html", shown | _rights(request), status=422 if form.errors else 200)


@require_safe
@never_cache
@needs("workers.view_modelversion")
@friendly
def version(request: HttpRequest, pk: int) -> HttpResponse:
    """A version: its card, where it comes from, what it scored, what was decided about it."""
    row = registry.get(pk)
    shown = {
        "version": row,
        "size": places.size(row),
        "evaluations": row.evaluations.select_related("job"),
        "children": row.children.all(),
        "form": PromoteForm(row),
        "figures": places.figures(row.card.get("metrics") or {}),
        "promotions": _promotions(row),
    }
    return render(request, "models/version.html", shown | _rights(request))


@require_safe
@never_cache
@needs("workers.view_modelversion")
@friendly
def compare(request: HttpRequest) -> HttpResponse:
    """Versions side by side."""
    chosen = comparing.sides(request.GET.getlist("v"))
    x = request.GET.get("x", "step")
    charts, axes = comparing.charts(chosen, x)
    shown = {
        "sides": chosen,
        "measured": comparing.measured(chosen),
        "parameters": comparing.parameters(chosen),
        "charts": [(chart, chart.svg()) for chart in charts],
        "axes": axes,
        "x": x if x in axes else "step",
        "files": urlencode([*(("v", side.key) for side in chosen), ("x", x)]),
        "keys": [side.key for side in chosen],
    }
    return render(request, "models/compare.html", shown)


@require_safe
@needs("workers.view_modelversion")
@friendly
def download(request: HttpRequest, extension: str) -> HttpResponse:
    """One chart of a comparison as SVG, or its points as CSV."""
    chosen = comparing.sides(request.GET.getlist("v"))
    charts, _axes = comparing.charts(chosen, request.GET.get("x", "step"))
    chart = named(charts, request.GET.get("chart", ""))
    content = comparing.csv_of(chosen, chart.name) if extension == "csv" else chart.svg(alone=True)
    return attached(content, f"compared-{chart.name}", extension)


@require_http_methods(FORMS)
@never_cache
@needs("workers.view_modelversion", "workers.change_modelversion")
@friendly
def promote(request: HttpRequest, pk: int) -> HttpResponse:
    """Make a version the one that answers."""
    row = registry.get(pk)
    form = PromoteForm(row, _sent(request))
    if request.method == "POST" and form.is_valid():
        values = form.cleaned_data
        try:
            registry.promote(
                row, request.user, values["why"], values["evaluation"], unmeasured=values["unmeasured"]
            )
        except BadInput as error:
            form.add_error(error.field if error.field in form.fields else None, str(error))
        else:
            messages.success(request, f"{row.place} v{row.version} answers now.")
            return redirect("models:version", pk=row.pk)
    shown = {"version": row, "form": form, "active": _active(row), "shipped": _shipped(row)}
    return render(request, "models/promote.html", shown, status=422 if form.errors else 200)


@require_http_methods(FORMS)
@never_cache
@needs("workers.view_modelversion", "workers.change_modelversion")
@friendly
def change(request: HttpRequest, place: str, verb: str) -> HttpResponse:
    """Roll back the last change of a place, or go back to the shipped model, with a reason."""
    area, _, slot = place.partition("/")
    act = {"back": registry.roll_back, "shipped": registry.retire}[verb]
    form = WhyForm(_sent(request))
    if request.method == "POST" and form.is_valid():
        made = act(area, slot, request.user, form.cleaned_data["why"])
        shipped = "the shipped model" if made.after_hash else "nothing"
        now = f"v{made.after}" if made.after else shipped
        messages.success(request, f"{place}: {now} answers from now on.")
        return redirect("models:index")
    entry = next((each for each in places.all_places() if each.name == place), None)
    if entry is None:
        raise NotFound(f"There is no model '{place[:60]}'.")
    shown = {
        "place": entry,
        "form": form,
        "verb": verb,
        "last": entry.promotions[0] if entry.promotions else None,
    }
    return render(request, "models/change.html", shown, status=422 if form.errors else 200)


@require_http_methods(FORMS)
@never_cache
@needs("workers.view_modelversion", "workers.delete_modelversion")
@friendly
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask once, with the size, then delete row and files together."""
    row = registry.get(pk)
    if request.method == "POST":
        name = f"{row.place} v{row.version}"
        removal.delete_version(row, request.user)
        messages.success(request, f"{name} and its files are deleted.")
        return redirect("models:index")
    return render(request, "models/delete.html", {"version": row, "size": places.size(row)})


def _sent(request: HttpRequest) -> QueryDict | None:
    """What a form brought; None where it is only shown."""
    return request.POST if request.method == "POST" else None


def _rights(request: HttpRequest) -> dict[str, bool]:
    return {
        "may_promote": request.user.has_perm("workers.change_modelversion"),
        "may_delete": request.user.has_perm("workers.delete_modelversion"),
        "may_start": request.user.has_perm("workers.add_job"),
        "may_see_jobs": request.user.has_perm("workers.view_job"),
    }


def _active(row: ModelVersion) -> ModelVersion | None:
    """What answers where ``row`` would."""
    return ModelVersion.objects.filter(area=row.area, slot=row.slot, active=True).first()


def _shipped(row: ModelVersion) -> bool:
    """Whether a model ships for its place."""
    return places.shipped_card(row.area, row.slot) is not None


def _promotions(row: ModelVersion) -> list[Promotion]:
    about = Q(before=row.version) | Q(after=row.version)
    return list(Promotion.objects.filter(about, area=row.area, slot=row.slot))
