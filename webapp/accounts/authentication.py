"""``Authorization: Bearer TOKEN`` for the API."""

from __future__ import annotations

from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from webapp.accounts.models import ApiToken, User

KEYWORDS = (b"bearer", b"token")


class TokenAuthentication(BaseAuthentication):
    """Finds the user of an API token. ``Bearer`` is the documented word; ``Token`` is understood too."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        """The user and the token, or None without such a header. Raises AuthenticationFailed for a bad token."""
        words = get_authorization_header(request).split()
        if not words or words[0].lower() not in KEYWORDS:
            return None
        if len(words) != 2:
            raise AuthenticationFailed("Write the header as 'Authorization: Bearer TOKEN', with one token.")
        token = ApiToken.objects.owner(words[1].decode("latin-1"))
        if token is None:
            raise AuthenticationFailed(
                "This token is not valid (any more). Make a new one on your token page."
            )
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        """So that a missing log-in is 401, not 403."""
        return "Bearer"
