"""One molecule: its page, its files, its neighbours, the texts that describe it."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_safe

from webapp.search import drawings, explanation
from webapp.search.problems import friendly
from webapp.search.shelves import readable
from workers import inference

NEIGHBOURS = 8
TEXTS = 6


@require_safe
@friendly
def molecule(request: HttpRequest, library: str, identifier: str) -> HttpResponse:
    """The page; ``?q=`` explains why a question found it, ``?word=`` lights one word's atoms."""
    readable(request.user, [library])
    word = drawings.index_of(request.GET.get("word"))
    shown = explanation.page(library, identifier, request.GET.get("q", ""), word, request.GET.get("from", ""))
    return render(request, "molecules/molecule.html", shown)


@require_safe
@friendly
def download(request: HttpRequest, library: str, identifier: str, extension: str) -> HttpResponse:
    """The drawing (SVG, PNG) or the molfile."""
    readable(request.user, [library])
    row = inference.molecule(library, identifier)["molecule"]
    content, kind = drawings.file(row["smiles"], extension, drawings.read_options(request.GET))
    name = content_disposition_header("save" in request.GET, f"{row['name'] or identifier}.{extension}")
    return HttpResponse(content, content_type=kind, headers={"Content-Disposition": name or "inline"})


@require_safe
@friendly
def neighbours(request: HttpRequest, library: str, identifier: str) -> HttpResponse:
    """The molecules nearest to this one, as a section or a page of its own."""
    readable(request.user, [library])
    shown = inference.neighbours(library, identifier, k=NEIGHBOURS)
    return render(
        request, _template(request, "neighbours"), {**shown, "title": "Neighbours", "part": "neighbours"}
    )


@require_safe
@friendly
def texts(request: HttpRequest, library: str, identifier: str) -> HttpResponse:
    """The texts that describe this structure best, from all libraries that may be read."""
    readable(request.user, [library])
    row = inference.molecule(library, identifier)["molecule"]
    shown = inference.describe(row["smiles"], libraries=readable(request.user), k=TEXTS)
    return render(
        request, _template(request, "texts"), {**shown, "title": "Texts that describe it", "part": "texts"}
    )


@require_safe
@friendly
def described(request: HttpRequest) -> HttpResponse:
    """The same for any structure, ``?s=SMILES``."""
    shown = inference.describe(request.GET.get("s", ""), libraries=readable(request.user), k=TEXTS)
    return render(
        request, _template(request, "texts"), {**shown, "title": "Texts that describe it", "part": "texts"}
    )


def _template(request: HttpRequest, part: str) -> str:
    return f"molecules/_{part}.html" if request.htmx else "molecules/part.html"
