"""The Django app of the workers floor."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class WorkersConfig(AppConfig):
    """Records of jobs, model versions and libraries."""

    name = "workers"
    verbose_name = "Work"

    def ready(self) -> None:
        """Have the database hold to the rules of the records after every migration."""
        from workers import guards

        post_migrate.connect(guards.install, sender=self)
