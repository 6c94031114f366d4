"""The files that trainings and evaluations read: what there is, bringing one, taking one away."""

from __future__ import annotations

from django.http import HttpRequest
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.api import job_examples as examples
from webapp.api.access import Entitled
from webapp.api.parsers import check_length
from webapp.api.serializers import jobs as shapes
from webapp.api.serializers.parameters import NoParameters
from webapp.api.views.base import ApiView
from workers import audit, datasets
from workers.errors import BadInput, Busy


class DataSetsView(ApiView):
    permission_classes = (Entitled,)
    parser_classes = (MultiPartParser,)
    rights = {"GET": ("workers.view_job",), "POST": ("workers.add_job",)}

    def initial(self, request: HttpRequest, *args: object, **kwargs: object) -> None:
        """Refuse an upload over the limit by its announced length."""
        check_length(request)
        super().initial(request, *args, **kwargs)

    @extend_schema(
        operation_id="datasets",
        tags=["jobs"],
        summary="The data sets that trainings and evaluations can read",
        description='For trainers. A job names them, as in {"data": {"train": "ferry/catalogue.tsv"}}.',
        responses=shapes.DataSetList,
        examples=[examples.DATASETS],
    )
    def get(self, request: Request) -> Response:
        """List them."""
        self.read_query(NoParameters)
        found = [_described(entry) for entry in datasets.listing()]
        return Response({"datasets": found, "endings": list(datasets.ENDINGS)})

    @extend_schema(
        operation_id="dataset_upload",
        tags=["jobs"],
        summary="Bring a data set",
        description="For trainers. It is known by the name of the file, which must be new.",
        request={"multipart/form-data": shapes.DataSetBody},
        responses={201: shapes.DataSetInfo},
        examples=[examples.DATASET],
    )
    def post(self, request: Request) -> Response:
        """Store it."""
        made = datasets.store(self.read_body(shapes.DataSetBody)["file"])
        audit.record(request.user, "upload", f"data/{made.name}", {"bytes": made.size})
        return Response(_described(made), status=201)


class DataSetView(ApiView):
    permission_classes = (Entitled,)
    rights = {"DELETE": ("workers.change_job",)}

    @extend_schema(
        operation_id="dataset_delete",
        tags=["jobs"],
        summary="Delete a data set that was uploaded here",
        description="For trainers. Refused while an open job needs it.",
        parameters=[examples.DATASET_NAME],
        responses={204: OpenApiResponse(description="It is gone.")},
    )
    def delete(self, request: Request, name: str) -> Response:
        """Delete it."""
        self.read_query(NoParameters)
        size = next((entry.size for entry in datasets.listing() if entry.name == name), 0)
        try:
            datasets.remove(name)
        except Busy as error:  # waiting does not help, stopping a job does
            raise BadInput(str(error), "name") from error
        audit.record(request.user, "delete", f"data/{name}", {"bytes": size})
        return Response(status=204)


def _described(entry: datasets.DataSet) -> dict[str, object]:
    return {"name": entry.name, "bytes": entry.size, "own": entry.own}
