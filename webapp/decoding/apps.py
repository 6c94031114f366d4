"""The Django app of the decoding page."""

from django.apps import AppConfig


class DecodingConfig(AppConfig):
    """Pages only; no models of its own."""

    name = "webapp.decoding"
    label = "decoding"
    verbose_name = "Decoding"
