"""Addresses of the decoding page."""

from __future__ import annotations

from django.urls import path

from webapp.decoding import views

app_name = "decoding"
urlpatterns = [
    path("", views.page, name="page"),
    path("stream/", views.stream_run, name="stream"),
    path("frontier/", views.reward_frontier, name="frontier"),
]
