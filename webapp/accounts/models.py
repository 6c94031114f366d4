"""Users and their API tokens."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils import timezone

PREFIX = "ferry_"
NOTED_EVERY = timedelta(minutes=1)


class User(AbstractUser):
    """A person with an account. What they may do follows from their groups: viewer, member, trainer, admin."""


class TokenManager(models.Manager["ApiToken"]):
    """Making tokens and finding whose a token is."""

    def issue(self, user: User, name: str) -> tuple[ApiToken, str]:
        """A new token for ``user`` and its secret, which is stored nowhere and shown once."""
        secret = PREFIX + secrets.token_urlsafe(32)
        token = self.create(user=user, name=name, digest=digest(secret), hint=secret[: len(PREFIX) + 4])
        return token, secret

    def owner(self, secret: str) -> ApiToken | None:
        """The token with this secret, when its user is active; notes that it was used."""
        found = self.select_related("user").filter(digest=digest(secret), user__is_active=True).first()
        if found is not None:
            now = timezone.now()
            if found.last_used is None or now - found.last_used > NOTED_EVERY:
                self.filter(pk=found.pk).update(last_used=now)
        return found


class ApiToken(models.Model):
    """One token of the one kind that the API knows. Only its hash is kept."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=80, help_text="What it is for.")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    hint = models.CharField(max_length=16, editable=False)
    created = models.DateTimeField(auto_now_add=True)
    last_used = models.DateTimeField(null=True, blank=True, editable=False)

    objects = TokenManager()

    class Meta:
        ordering = ("-created", "-pk")
        verbose_name = "API token"

    def __str__(self) -> str:
        return f"{self.name} ({self.hint}…)"


def digest(secret: str) -> str:
    """SHA-256 of a token. The secret is 256 random bits, so that a slow hash would add nothing."""
    return hashlib.sha256(secret.encode()).hexdigest()
