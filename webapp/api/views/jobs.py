"""Long work: starting it, how far it is, stopping, resuming, repeating and deleting it."""

from __future__ import annotations

import re

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from webapp.api import job_examples as examples
from webapp.api import kind_schema, managing
from webapp.api.access import Entitled
from webapp.api.examples import JOB_ID
from webapp.api.paging import links
from webapp.api.problems import BadParameter
from webapp.api.serializers import jobs as shapes
from webapp.api.serializers.parameters import NoParameters
from webapp.api.views.base import ApiView
from workers import board, jobs
from workers.models import Job

KEY = re.compile(r"[!-~]{1,80}")
START = ("workers.add_job",)
MANAGE = ("workers.change_job",)
SEEN = "For your own jobs; trainers and administrators see everybody's. Somebody else's is not found."


class JobsView(ApiView):
    permission_classes = (Entitled,)
    rights = {"GET": (), "POST": START}

    @extend_schema(
        operation_id="jobs",
        tags=["jobs"],
        summary="The jobs that you may see, the latest first",
        description=SEEN + " The Link header leads to the next and the previous page.",
        parameters=[shapes.JobsParameters],
        responses=shapes.JobPage,
        examples=[examples.PAGE],
    )
    def get(self, request: Request) -> Response:
        """List them."""
        found = board.listing(request.user, **self.read_query(shapes.JobsParameters))
        return Response(managing.page(found, request.user), headers=links(request, found))

    @extend_schema(
        operation_id="job_start",
        tags=["jobs"],
        summary="Start a training, an evaluation or another kind of job",
        description=(
            "For trainers. jobs/kinds/ says what each kind takes, and what the queue looks like. With an "
            "Idempotency-Key of your own the same request can be sent again after a broken connection: it starts one "
            "job, and answers 200 instead of 201 when that exists already. Over your limit of open jobs the answer "
            "is 503 with Retry-After."
        ),
        parameters=[examples.IDEMPOTENCY_KEY],
        request=shapes.JobBody,
        responses={
            201: shapes.JobFull,
            200: OpenApiResponse(shapes.JobFull, description="The key was seen before: its job."),
        },
        examples=[examples.START_BODY, examples.STARTED, examples.FULL],
    )
    def post(self, request: Request) -> Response:
        """Start it."""
        key = _key(request)
        values = self.read_body(shapes.JobBody)
        seen = bool(key) and Job.objects.filter(owner=request.user, key=key).exists()
        job = jobs.submit(
            values["kind"], values["parameters"], request.user, name=values.get("name", ""), key=key
        )
        return _made(request, job, 200 if seen else 201)


class KindsView(ApiView):
    permission_classes = (Entitled,)
    rights = {"GET": START}

    @extend_schema(
        operation_id="job_kinds",
        tags=["jobs"],
        summary="The kinds of job you can start, their parameters, and how long one would wait",
        description="Parameters are JSON schemas, made from the same registry as the forms and the command line.",
        responses=shapes.KindList,
        examples=[examples.KINDS],
    )
    def get(self, request: Request) -> Response:
        """List them."""
        self.read_query(NoParameters)
        return Response({"kinds": kind_schema.offered()})


class JobActionsView(ApiView):
    permission_classes = (Entitled,)
    rights = {"POST": MANAGE}

    @extend_schema(
        operation_id="job_actions",
        tags=["jobs"],
        summary="Stop, resume or delete several jobs at once",
        description="For trainers. Each job is done or left on its own, and the answer says which and why.",
        request=shapes.JobActionsBody,
        responses=shapes.JobActionsAnswer,
        examples=[examples.ACTIONS_BODY, examples.ACTIONS],
    )
    def post(self, request: Request) -> Response:
        """Do it to each."""
        values = self.read_body(shapes.JobActionsBody)
        chosen = [str(pk) for pk in dict.fromkeys(values["jobs"])]
        outcomes = managing.each(values["action"], chosen, request.user)
        done = sum(outcome["done"] for outcome in outcomes)
        return Response({"action": values["action"], "done": done, "outcomes": outcomes})


class JobView(ApiView):
    permission_classes = (Entitled,)
    rights = {"GET": (), "DELETE": MANAGE}

    @extend_schema(
        operation_id="job",
        tags=["jobs"],
        summary="How far a job is, and everything else about it but its curves",
        description=SEEN,
        parameters=[JOB_ID],
        responses=shapes.JobFull,
        examples=[examples.FULL],
    )
    def get(self, request: Request, job: str) -> Response:
        """Its state."""
        self.read_query(NoParameters)
        return Response(managing.full(jobs.get(job, request.user), request.user))

    @extend_schema(
        operation_id="job_delete",
        tags=["jobs"],
        summary="Delete an ended job with its curves and files",
        description="For trainers. Refused while it is open, and while a model version lives in its folder.",
        parameters=[JOB_ID],
        responses={204: OpenApiResponse(description="It is gone.")},
    )
    def delete(self, request: Request, job: str) -> Response:
        """Delete it."""
        self.read_query(NoParameters)
        managing.delete(jobs.get(job, request.user), request.user)
        return Response(status=204)


class JobStopView(ApiView):
    permission_classes = (Entitled,)
    rights = {"POST": ()}

    @extend_schema(
        operation_id="job_stop",
        tags=["jobs"],
        summary="Stop a job",
        description=(
            "Work ends within a step, saved; it can be resumed from there. An ended job stays as it is. "
            + SEEN
        ),
        parameters=[JOB_ID],
        request=None,
        responses=shapes.JobFull,
        examples=[examples.FULL],
    )
    def post(self, request: Request, job: str) -> Response:
        """Stop it."""
        self.read_query(NoParameters)
        found = jobs.get(job, request.user)
        managing.stop(found, request.user)
        return Response(managing.full(found, request.user))


class JobResumeView(ApiView):
    permission_classes = (Entitled,)
    rights = {"POST": ()}

    @extend_schema(
        operation_id="job_resume",
        tags=["jobs"],
        summary="Queue a job again that was stopped, failed or was lost",
        description=(
            "It goes on from its last checkpoint, on the same curves. One that waits or runs stays as it is. For "
            "trainers; members may resume checks and imports of their own."
        ),
        parameters=[JOB_ID],
        request=None,
        responses=shapes.JobFull,
        examples=[examples.FULL],
    )
    def post(self, request: Request, job: str) -> Response:
        """Resume it."""
        self.read_query(NoParameters)
        found = jobs.get(job, request.user)
        managing.resume(found, request.user)
        found.refresh_from_db()
        return Response(managing.full(found, request.user))


class JobCloneView(ApiView):
    permission_classes = (Entitled,)
    rights = {"POST": START}

    @extend_schema(
        operation_id="job_clone",
        tags=["jobs"],
        summary="Start a new job like this one, with changes",
        description="For trainers. The new job begins from nothing and names the old one as its parent.",
        parameters=[JOB_ID],
        request=shapes.CloneBody,
        responses={201: shapes.JobFull},
        examples=[examples.CLONE_BODY, examples.STARTED],
    )
    def post(self, request: Request, job: str) -> Response:
        """Clone it."""
        values = self.read_body(shapes.CloneBody)
        found = jobs.get(job, request.user)
        made = managing.clone(found, request.user, values.get("changes", {}), values.get("name", ""))
        return _made(request, made, 201)


def _key(request: Request) -> str:
    """The sender's key, "" without one. Raises BadParameter for one that is no plain word."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return ""
    if not KEY.fullmatch(key):
        raise BadParameter(
            "This Idempotency-Key is empty, longer than 80 characters, or not plain ASCII without spaces.",
            field="Idempotency-Key",
            remedy="A UUID will do.",
        )
    return key


def _made(request: Request, job: Job, status: int) -> Response:
    job.refresh_from_db()
    where = reverse("api:job", [job.pk], request=request)
    return Response(managing.full(job, request.user), status=status, headers={"Location": where})
