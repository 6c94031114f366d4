"""Files of named rows, or of the hits of a search."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from webapp.api import examples
from webapp.api.access import readable
from webapp.api.serializers.bodies import ExportBody, ExportParameters
from webapp.api.views.base import ApiView
from webapp.api.views.search import find
from workers import inference

NOTES = "Ferry-Notes"
NOTES_HEADER = OpenApiParameter(
    NOTES,
    location=OpenApiParameter.HEADER,
    response=[200],
    description="A JSON list of sentences; there only where something asked for is not in the file.",
)
FILES = {
    (200, "text/csv"): OpenApiTypes.STR,
    (200, "chemical/x-mdl-sdfile"): OpenApiTypes.STR,
    (200, "chemical/x-daylight-smiles"): OpenApiTypes.STR,
}


class ExportView(ApiView):
    reads_only = True

    @extend_schema(
        operation_id="export",
        tags=["export"],
        summary="Download rows or the hits of a search as CSV, SDF or SMILES",
        description=(
            "Repeat row=library:id for chosen rows, or the parameters of a search for what it shows. "
            "Hits of a search are written with their rank and score."
        ),
        parameters=[ExportParameters, NOTES_HEADER],
        responses=FILES,
    )
    def get(self, request: Request) -> HttpResponse:
        """Export what the address names."""
        values = self.read_query(ExportParameters)
        kind, rows = values.pop("format"), values.pop("row", [])
        return _file(request, kind, rows, values if "q" in values else None)

    @extend_schema(
        operation_id="export_long",
        tags=["export"],
        summary="The same for lists too long for an address",
        parameters=[NOTES_HEADER],
        request=ExportBody,
        responses=FILES,
        examples=[examples.EXPORT_BODY],
    )
    def post(self, request: Request) -> HttpResponse:
        """Export what the body names."""
        values = self.read_body(ExportBody)
        rows = [_row(row) for row in values.get("rows", ())]
        return _file(request, values["format"], rows, values.get("search"))


def _row(given: dict[str, Any]) -> inference.ExportRow:
    """A row of a body as the door takes it."""
    if "rank" in given or "score" in given:
        return (given["library"], given["id"], given.get("rank"), given.get("score"))
    return (given["library"], given["id"])


def _file(
    request: Request, kind: str, rows: list[inference.ExportRow], search: dict[str, Any] | None
) -> HttpResponse:
    """The file as a download; without rows, those that the search shows."""
    if rows:
        readable(request, [row[0] for row in rows])
    elif search is not None:
        hits = find(request, search)["hits"]
        rows = [(hit["library"], hit["molecule"]["id"], hit["rank"], hit["score"]) for hit in hits]
    name, content_type, content, notes = inference.export(kind, rows, search["q"] if search else "")
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "X-Content-Type-Options": "nosniff"}
    if notes:
        headers[NOTES] = json.dumps(notes)  # plain ASCII, whatever the molecules are called
    return HttpResponse(content, content_type=content_type, headers=headers)
