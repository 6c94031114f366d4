"""Libraries: list, have a file checked or imported, status, delete."""

from __future__ import annotations

from django.http import HttpRequest
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from webapp.api import examples
from webapp.api.parsers import LimitedJSONParser, check_length
from webapp.api.serializers import answers
from webapp.api.serializers.bodies import LibraryBody
from webapp.api.serializers.parameters import NoParameters
from webapp.api.views.base import ApiView
from workers import libraries
from workers.errors import NotFound


class LibrariesView(ApiView):
    parser_classes = (MultiPartParser, LimitedJSONParser)
    rights = {"POST": "workers.add_library"}

    def initial(self, request: HttpRequest, *args: object, **kwargs: object) -> None:
        """Refuse an upload over the limit by its announced length."""
        check_length(request)
        super().initial(request, *args, **kwargs)

    @extend_schema(
        operation_id="libraries",
        tags=["libraries"],
        summary="The libraries you may read",
        responses=answers.LibraryList,
        examples=[examples.LIBRARIES],
    )
    def get(self, request: Request) -> Response:
        """List them."""
        self.read_query(NoParameters)
        return Response({"libraries": libraries.list_libraries(request.user)})

    @extend_schema(
        operation_id="library_create",
        tags=["libraries"],
        summary="Check a file of molecules, or make a library of it",
        description=(
            "Starts a job; ask for it until it has ended. With dry_run=true the file is only checked: once that "
            "is done, the upload of that token has a report of what was read, used, refused (line and reason) and "
            "merged. Without dry_run, or with the token, a library is made. A file that cannot be used at all ends "
            "the job as failed, with the problem."
        ),
        request={"multipart/form-data": LibraryBody, "application/json": LibraryBody},
        responses={202: OpenApiResponse(answers.StartedAnswer, description="The job is under way.")},
        examples=[examples.LIBRARY_BODY, examples.CHECK, examples.IMPORT],
    )
    def post(self, request: Request) -> Response:
        """Check or import."""
        values = self.read_body(LibraryBody)
        user, name = request.user, values.get("name", "")
        if "token" in values:
            job = libraries.start_import(values["token"], name, user)
        elif values["dry_run"]:
            job = libraries.check_upload(values["file"], user, name)
        else:
            job = libraries.import_upload(values["file"], name, user)
        address = reverse("api:job", args=[job["id"]], request=request)
        return Response({"token": job["upload"], "job": job}, status=202, headers={"Location": address})


class LibraryView(ApiView):
    rights = {"DELETE": "workers.delete_library"}

    @extend_schema(
        operation_id="library",
        tags=["libraries"],
        summary="The state of one library",
        parameters=[examples.LIBRARY],
        responses=answers.LibraryInfo,
        examples=[examples.LIBRARY_INFO],
    )
    def get(self, request: Request, library: str) -> Response:
        """Its state."""
        self.read_query(NoParameters)
        for entry in libraries.list_libraries(request.user):
            if entry["id"] == library:
                return Response(entry)
        raise NotFound(f"There is no library '{library[:60]}' that you may read.")

    @extend_schema(
        operation_id="library_delete",
        tags=["libraries"],
        summary="Delete a library of yours, with its files",
        parameters=[examples.LIBRARY],
        responses={204: OpenApiResponse(description="It is gone.")},
    )
    def delete(self, request: Request, library: str) -> Response:
        """Delete it."""
        libraries.delete_library(library, request.user)
        return Response(status=204)
