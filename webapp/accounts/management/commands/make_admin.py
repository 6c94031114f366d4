"""Create the first administrator."""

from __future__ import annotations

import getpass
import os
import sys
from typing import Any

from django.contrib.auth.models import Group
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from webapp.accounts.models import User


class Command(BaseCommand):
    """Asks for a name and a password, or takes ADMIN_USER and ADMIN_PASSWORD from the environment."""

    help = "Create an administrator (asks, or reads ADMIN_USER and ADMIN_PASSWORD)."

    def handle(self, *args: Any, **options: Any) -> None:
        """Make the account. Raises CommandError when the name is taken or the password too weak."""
        name = os.environ.get("ADMIN_USER") or self._ask("User name: ")
        if not name:
            raise CommandError("A user name is needed.")
        if User.objects.filter(username=name).exists():
            raise CommandError(
                f"There is an account '{name}' already. Choose another name, or change its password "
                f"with: python manage.py changepassword {name}"
            )
        password = os.environ.get("ADMIN_PASSWORD") or self._ask_password()
        user = User(username=name, is_staff=True, is_superuser=True)
        try:
            user.full_clean(exclude=["password"])
            validate_password(password, user)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        user.set_password(password)
        user.save()
        user.groups.add(Group.objects.get(name="admin"))
        self.stdout.write(f"The administrator '{name}' can log in now at /accounts/log-in/ and /admin/.")

    def _ask(self, question: str) -> str:
        if not sys.stdin.isatty():
            raise CommandError("There is no terminal to ask on. Set ADMIN_USER and ADMIN_PASSWORD.")
        return input(question).strip()

    def _ask_password(self) -> str:
        if not sys.stdin.isatty():
            raise CommandError("There is no terminal to ask on. Set ADMIN_USER and ADMIN_PASSWORD.")
        first, second = getpass.getpass("Password: "), getpass.getpass("The same again: ")
        if first != second:
            raise CommandError("The two passwords differ. Nothing was changed.")
        return first
