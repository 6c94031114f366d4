"""Addresses of the pages of models."""

from __future__ import annotations

from django.urls import path

from webapp.jobs.views import models

app_name = "models"
urlpatterns = [
    path("", models.index, name="index"),
    path("compare/", models.compare, name="compare"),
    path("compare.csv", models.download, {"extension": "csv"}, name="csv"),
    path("compare.svg", models.download, {"extension": "svg"}, name="svg"),
    path("<int:pk>/", models.version, name="version"),
    path("<int:pk>/promote/", models.promote, name="promote"),
    path("<int:pk>/delete/", models.delete, name="delete"),
    path("places/<path:place>/roll-back/", models.change, {"verb": "back"}, name="roll-back"),
    path("places/<path:place>/shipped/", models.change, {"verb": "shipped"}, name="retire"),
]
