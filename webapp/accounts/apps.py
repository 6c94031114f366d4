"""The Django app of the accounts."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AccountsConfig(AppConfig):
    """Users, their roles and their tokens."""

    name = "webapp.accounts"
    label = "accounts"
    verbose_name = "Accounts"

    def ready(self) -> None:
        """Keep the rights of the four roles as ``roles.py`` states them."""
        from webapp.accounts import roles, schema  # noqa: F401  the schema extension registers itself

        post_migrate.connect(roles.grant, sender=self)
