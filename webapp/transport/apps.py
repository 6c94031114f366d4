"""The Django app of the transport laboratory."""

from django.apps import AppConfig


class TransportConfig(AppConfig):
    """Pages only; no models of its own."""

    name = "webapp.transport"
    label = "transport"
    verbose_name = "Transport laboratory"
