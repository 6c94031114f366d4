"""Files that were sent to be checked: the report, and the refused records to mend."""

from __future__ import annotations

from django.http import FileResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.api import examples
from webapp.api.serializers import answers
from webapp.api.serializers.parameters import NoParameters
from webapp.api.views.base import ApiView
from webapp.search.uploads import refused_file
from workers import libraries


class UploadView(ApiView):
    permission_classes = (IsAuthenticated,)

    @extend_schema(
        operation_id="upload",
        tags=["libraries"],
        summary="The report of a file of yours that was checked",
        description="report is null until the job is done. The file is kept for a day, then the token is not found.",
        parameters=[examples.TOKEN],
        responses=answers.UploadAnswer,
        examples=[examples.UPLOAD],
    )
    def get(self, request: Request, token: str) -> Response:
        """Its check and report."""
        self.read_query(NoParameters)
        return Response(libraries.upload_status(token, request.user))


class RefusedView(ApiView):
    permission_classes = (IsAuthenticated,)

    @extend_schema(
        operation_id="upload_refused",
        tags=["libraries"],
        summary="The refused records of a checked file, to mend",
        description="In the format of the file, unpacked, each record with its line and the reason.",
        parameters=[examples.TOKEN],
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, token: str) -> FileResponse:
        """All of them, however many."""
        self.read_query(NoParameters)
        return refused_file(token, request.user)
