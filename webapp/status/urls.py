"""Addresses of the status page."""

from __future__ import annotations

from django.urls import path

from webapp.status import views

app_name = "status"

urlpatterns = [
    path("", views.page, name="page"),
    path("notice/", views.notice, name="notice"),
    path("rebuild/", views.rebuild, name="rebuild"),
]
