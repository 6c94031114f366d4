"""The Django app of the pages."""

from django.apps import AppConfig


class SearchConfig(AppConfig):
    """Pages around the search; no models of its own."""

    name = "webapp.search"
    label = "search"
    verbose_name = "Search pages"
