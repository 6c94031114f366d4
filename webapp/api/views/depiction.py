"""Drawings of structures, as SVG or PNG."""

from __future__ import annotations

import hashlib
from typing import Any

from django.http import HttpResponse
from django.utils.cache import get_conditional_response
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from webapp.api import examples
from webapp.api.access import check_readable
from webapp.api.serializers.bodies import DepictBody
from webapp.api.serializers.parameters import DepictParameters
from webapp.api.views.base import ApiView
from workers import inference

TYPES = {"svg": "image/svg+xml", "png": "image/png"}
IMAGES = {(200, kind): OpenApiTypes.BINARY for kind in TYPES.values()}
ONE_DAY = 86_400


class DepictView(ApiView):
    reads_only = True

    @extend_schema(
        operation_id="depict",
        tags=["molecules"],
        summary="Draw a structure",
        description="Takes structure, or library and id. Send the ETag in If-None-Match to save traffic.",
        parameters=[DepictParameters],
        responses=IMAGES,
    )
    def get(self, request: Request) -> HttpResponse:
        """Draw what the address names."""
        return _draw(request, self.read_query(DepictParameters))

    @extend_schema(
        operation_id="depict_long",
        tags=["molecules"],
        summary="Draw a structure too long for an address",
        request=DepictBody,
        responses=IMAGES,
        examples=[examples.DEPICT_BODY],
    )
    def post(self, request: Request) -> HttpResponse:
        """Draw what the body names."""
        return _draw(request, self.read_body(DepictBody))


def _draw(request: Request, values: dict[str, Any]) -> HttpResponse:
    """The image with its cache headers, or 304 when the caller has it already."""
    structure = values.get("structure")
    if structure is None:
        check_readable(request, values["library"])
        structure = inference.molecule(values["library"], values["id"])["molecule"]["smiles"]
    image = inference.depict(
        structure,
        format=values["format"],
        width=values["width"],
        height=values["height"],
        theme=values["theme"],
        atoms=values.get("atoms", ()),
        stereo=values["stereo"] == "show",
    )
    etag = f'"{hashlib.sha256(image).hexdigest()[:32]}"'
    shared = "public" if "structure" in values else "private"
    headers = {
        "ETag": etag,
        "Cache-Control": f"{shared}, max-age={ONE_DAY}",
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
        "X-Content-Type-Options": "nosniff",
    }
    fresh = HttpResponse(image, content_type=TYPES[values["format"]], headers=headers)
    return get_conditional_response(request, etag=etag, response=fresh) or fresh
