"""Addresses of the pages."""

from __future__ import annotations

from django.urls import path

from webapp.search.views import basket, compare, libraries, lookup, molecule, search, words

app_name = "search"
urlpatterns = [
    path("", search.search, name="search"),
    path("suggest/", search.suggest, name="suggest"),
    path("drawing.svg", search.drawing, name="drawing"),
    path("texts/", molecule.described, name="described"),
    path("basket/", basket.basket, name="basket"),
    path("export/", basket.export, name="export"),
    path("compare/", compare.compare, name="compare"),
    path("lookup/", lookup.lookup, name="lookup"),
    path("lookup/export/", lookup.export, name="lookup-export"),
    path("help/", words.help_page, name="help"),
    path("libraries/", libraries.index, name="libraries"),
    path("libraries/new/", libraries.check, name="library-check"),
    path("libraries/start/", libraries.start, name="library-start"),
    path("libraries/jobs/<str:job>/", libraries.job, name="library-job"),
    path("libraries/jobs/<str:job>/stop/", libraries.stop, name="library-stop"),
    path("libraries/jobs/<str:job>/again/", libraries.again, name="library-again"),
    path("libraries/refused/<str:token>/", libraries.refused, name="library-refused"),
    path("libraries/<str:library>/delete/", libraries.delete, name="library-delete"),
    path(
        "molecules/<str:library>/<path:identifier>.svg", molecule.download, {"extension": "svg"}, name="svg"
    ),
    path(
        "molecules/<str:library>/<path:identifier>.png", molecule.download, {"extension": "png"}, name="png"
    ),
    path(
        "molecules/<str:library>/<path:identifier>.mol", molecule.download, {"extension": "mol"}, name="mol"
    ),
    path("molecules/<str:library>/<path:identifier>/neighbours/", molecule.neighbours, name="neighbours"),
    path("molecules/<str:library>/<path:identifier>/texts/", molecule.texts, name="texts"),
    path("molecules/<str:library>/<path:identifier>/", molecule.molecule, name="molecule"),
]
