"""The API speaks JSON (or the one type an address is for): what the client would like better is not asked."""

from __future__ import annotations

from collections.abc import Sequence

from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.utils.mediatypes import media_type_matches


class FixedNegotiation(BaseContentNegotiation):
    """Parsers by the body's type; always the first renderer, so that ``Accept`` never makes a 406."""

    def select_parser(self, request: Request, parsers: Sequence[BaseParser]) -> BaseParser | None:
        """The first parser that reads the body's media type, or None (the framework then answers 415)."""
        for parser in parsers:
            if media_type_matches(parser.media_type, request.content_type):
                return parser
        return None

    def select_renderer(
        self, request: Request, renderers: Sequence[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """The first renderer and its media type."""
        del request, format_suffix  # asked for by the framework's interface
        return renderers[0], renderers[0].media_type
