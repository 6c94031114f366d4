"""The addresses of the whole site."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

admin.site.site_header = admin.site.site_title = "Ferry administration"
admin.site.index_title = "What is there"

urlpatterns = [
    path("admin/", admin.site.urls),
    path("accounts/", include("webapp.accounts.urls")),
    path("api/", include("webapp.api.urls")),
    path("decoding/", include("webapp.decoding.urls")),
    path("transport/", include("webapp.transport.urls")),
    path("jobs/", include("webapp.jobs.urls")),
    path("models/", include("webapp.jobs.model_urls")),
    path("status/", include("webapp.status.urls")),
    path("", include("webapp.search.urls")),
]

handler400 = "webapp.errors.bad_request"
handler403 = "webapp.errors.permission_denied"
handler404 = "webapp.errors.not_found"
handler500 = "webapp.errors.server_error"
