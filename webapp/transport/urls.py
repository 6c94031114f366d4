"""Addresses of the transport laboratory."""

from __future__ import annotations

from django.urls import path

from webapp.transport import views

app_name = "transport"
urlpatterns = [
    path("", views.laboratory, name="laboratory"),
    path("sweep/", views.sweep, name="sweep"),
    path("map/", views.still_map, name="map"),
    path("watch/", views.watch, name="watch"),
    path("files/<str:kind>", views.download, name="download"),
]
