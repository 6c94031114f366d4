"""Addresses of the pages of jobs."""

from __future__ import annotations

from django.urls import path

from webapp.jobs.views import data, job, listing, starting

app_name = "jobs"
urlpatterns = [
    path("", listing.index, name="list"),
    path("bulk/", listing.bulk, name="bulk"),
    path("new/", starting.new, name="new"),
    path("data/", data.index, name="data"),
    path("data/delete/<path:name>", data.delete, name="data-delete"),
    path("<uuid:job>/", job.page, name="job"),
    path("<uuid:job>/look/", job.look, name="look"),
    path("<uuid:job>/events/", job.events, name="events"),
    path("<uuid:job>/curves/", job.curves_section, name="curves"),
    path("<uuid:job>/curves.csv", job.download, {"extension": "csv"}, name="csv"),
    path("<uuid:job>/curves.svg", job.download, {"extension": "svg"}, name="svg"),
    path("<uuid:job>/stop/", job.stop, name="stop"),
    path("<uuid:job>/resume/", job.resume, name="resume"),
    path("<uuid:job>/delete/", job.delete, name="delete"),
]
