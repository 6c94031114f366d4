"""The Django app of the workers floor."""

from django.apps import AppConfig


class WorkersConfig(AppConfig):
    """Records of jobs, model versions and libraries."""

    name = "workers"
    verbose_name = "Work"
