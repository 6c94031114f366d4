"""The pages before and after an answer that holds one slice of a list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from rest_framework.request import Request


def links(request: Request, answer: Mapping[str, Any]) -> dict[str, str]:
    """The Link header for an answer with ``offset``, ``k`` and ``total``: the next and the previous page."""
    offset, k, total = answer["offset"], answer["k"], answer["total"]
    pages = {}
    if offset + k < total:
        pages["next"] = offset + k
    if offset > 0:
        pages["prev"] = max(0, offset - k)
    if not pages:
        return {}
    kept = [
        (name, value) for name, values in request.query_params.lists() for value in values if name != "offset"
    ]
    base = request.build_absolute_uri(request.path)
    linked = [f'<{base}?{urlencode([*kept, ("offset", at)])}>; rel="{name}"' for name, at in pages.items()]
    return {"Link": ", ".join(linked)}
