"""Watching a job: what it has measured, and its news as they come."""

from __future__ import annotations

from django.http import HttpResponse, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.api import following
from webapp.api import job_examples as examples
from webapp.api.access import Entitled
from webapp.api.examples import JOB_ID
from webapp.api.serializers import jobs as shapes
from webapp.api.views.base import ApiView
from webapp.jobs.curves import csv_of
from webapp.streaming import last_seen, stream
from workers import board, jobs


class JobMetricsView(ApiView):
    permission_classes = (Entitled,)
    rights = {"GET": ()}

    @extend_schema(
        operation_id="job_metrics",
        tags=["jobs"],
        summary="The curves of a job, as JSON or CSV",
        description=(
            "One point a measurement: step, seconds of work, epoch and the metrics. A resumed job goes on at its last "
            "checkpoint; attempt tells where. Of long runs every so many points are kept."
        ),
        parameters=[JOB_ID, shapes.MetricsParameters],
        responses={(200, "application/json"): shapes.Curves, (200, "text/csv"): OpenApiTypes.STR},
        examples=[examples.CURVES],
    )
    def get(self, request: Request, job: str) -> HttpResponse:
        """All of them."""
        values = self.read_query(shapes.MetricsParameters)
        row = jobs.get(job, request.user)
        found = board.curves(row, values["most"])
        if values["format"] == "json":
            return Response(found)
        name = f"{row.kind}-{str(row.pk)[:8]}.csv"
        headers = {
            "Content-Disposition": f'attachment; filename="{name}"',
            "X-Content-Type-Options": "nosniff",
        }
        return HttpResponse(
            csv_of(found["points"], found["metrics"]), content_type="text/csv; charset=utf-8", headers=headers
        )


class JobEventsView(ApiView):
    permission_classes = (Entitled,)
    rights = {"GET": ()}

    @extend_schema(
        operation_id="job_events",
        tags=["jobs"],
        summary="The news of a job as they come",
        description=(
            "Without wait: server-sent events. `job` has the job as in a list, first and whenever its standing "
            "changes; `news` has one event with its number as id, so that a reader who comes back with Last-Event-ID "
            "misses nothing of the last thousand; `end` is the last. A comment every 15 seconds keeps proxies from "
            "closing a quiet stream. With wait: the same as one JSON answer, at once where there is news after number "
            "`after`, else after so many seconds; ask again with its `after`."
        ),
        parameters=[JOB_ID, shapes.EventsParameters, examples.LAST_EVENT_ID],
        responses={
            (200, "application/json"): shapes.JobNews,
            (200, "text/event-stream"): OpenApiResponse(
                shapes.StreamedEvent, description="JSON after a wait, events without."
            ),
        },
        examples=[examples.NEWS],
    )
    def get(self, request: Request, job: str) -> Response | StreamingHttpResponse:
        """Follow it."""
        values = self.read_query(shapes.EventsParameters)
        row = jobs.get(job, request.user)
        after = values.get("after", last_seen(request))
        if "wait" in values:
            return Response(following.news(row, after, values["wait"]), headers={"Cache-Control": "no-store"})
        return stream(request._request, following.follow(str(row.pk), request.user, after))
