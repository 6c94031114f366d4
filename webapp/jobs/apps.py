"""The Django app of the pages of jobs and models."""

from django.apps import AppConfig


class JobsConfig(AppConfig):
    """Pages of jobs, model versions and data sets."""

    name = "webapp.jobs"
    label = "jobs"
    verbose_name = "Pages of jobs and models"
