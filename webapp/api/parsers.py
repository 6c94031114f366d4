"""Body parsers with a limit on size: the framework's own read the whole body, whatever its length."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import IO, Any

from django.conf import settings
from django.http import HttpRequest
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

from webapp.api.problems import TooLarge

MAX_JSON_BYTES = 4_000_000


def check_length(request: HttpRequest) -> None:
    """Raise TooLarge for an upload whose announced length is over the limit, before any of it is read or stored."""
    announced = request.META.get("CONTENT_LENGTH") or "0"
    limit = settings.FERRY_MAX_UPLOAD
    if announced.isdigit() and int(announced) > limit:
        raise TooLarge(
            f"The upload is {int(announced):,} bytes and the limit is {limit:,}. "
            "Split the file, or compress it with gzip."
        )


class LimitedJSONParser(JSONParser):
    """JSON of at most ``MAX_JSON_BYTES`` bytes; a larger body is refused before it is parsed (413)."""

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """The value in the body. Raises TooLarge (413) or ParseError (400, with the place of the fault)."""
        body = stream.read(MAX_JSON_BYTES + 1)
        if len(body) > MAX_JSON_BYTES:
            raise TooLarge(
                f"The JSON body is larger than {MAX_JSON_BYTES:,} bytes. Send it in smaller parts."
            )
        try:
            return super().parse(BytesIO(body), media_type, parser_context)
        except RecursionError:
            raise ParseError("The JSON body is nested too deeply. Send a flat object.") from None
