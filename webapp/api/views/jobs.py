"""Long work: how far it is, and stopping it."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.api import examples
from webapp.api.serializers import answers
from webapp.api.serializers.parameters import NoParameters
from webapp.api.views.base import ApiView
from workers import libraries


class JobView(ApiView):
    permission_classes = (IsAuthenticated,)

    @extend_schema(
        operation_id="job",
        tags=["jobs"],
        summary="How far a job of yours is",
        parameters=[examples.JOB_ID],
        responses=answers.JobAnswer,
        examples=[examples.JOB],
    )
    def get(self, request: Request, job: str) -> Response:
        """Its state."""
        self.read_query(NoParameters)
        return Response(libraries.job_status(job, request.user))


class JobStopView(ApiView):
    permission_classes = (IsAuthenticated,)

    @extend_schema(
        operation_id="job_stop",
        tags=["jobs"],
        summary="Stop a job of yours",
        description="Work ends within a step; what is done is kept for another try. An ended job stays as it is.",
        parameters=[examples.JOB_ID],
        request=None,
        responses=answers.JobAnswer,
        examples=[examples.JOB],
    )
    def post(self, request: Request, job: str) -> Response:
        """Stop it."""
        return Response(libraries.stop_job(job, request.user))
