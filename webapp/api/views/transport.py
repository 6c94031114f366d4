"""The transport laboratory: plans between point clouds, what they will need, what can be asked."""

from __future__ import annotations

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.api.serializers import transport as shapes
from webapp.api.serializers.parameters import NoParameters
from webapp.api.views.base import ApiView
from webapp.transport import api_examples as examples
from workers import inference


class TransportPlanView(ApiView):
    reads_only = True

    @extend_schema(
        operation_id="transport_plan",
        tags=["transport"],
        summary="The optimal-transport plan between two weighted point clouds",
        description=(
            "The answer repeats the problem as understood and says how the solver ended. What is beyond the limits "
            "of transport/solvers/ is refused before anything is computed. Strengths such as epsilon are shares of "
            "the statistic of the costs that `relative` names, and stand in the answer in absolute terms too."
        ),
        request=shapes.PlanBody,
        responses=shapes.PlanAnswer,
        examples=[examples.PROBLEM_BODY, examples.SAMPLED_BODY, examples.PLAN],
    )
    def post(self, request: Request) -> Response:
        """Solve."""
        return Response(inference.transport_plan(self.read_body(shapes.PlanBody)))


class TransportEstimateView(ApiView):
    reads_only = True

    @extend_schema(
        operation_id="transport_estimate",
        tags=["transport"],
        summary="The memory and time that a problem will need",
        request=shapes.PlanBody,
        responses=shapes.EstimateAnswer,
        examples=[examples.PROBLEM_BODY, examples.ESTIMATE],
    )
    def post(self, request: Request) -> Response:
        """Estimate."""
        return Response(inference.transport_estimate(self.read_body(shapes.PlanBody)))


class TransportFileView(ApiView):
    reads_only = True

    @extend_schema(
        operation_id="transport_file",
        tags=["transport"],
        summary="The whole plan, its links, or the problem as a file",
        request=shapes.PlanFileBody,
        responses=shapes.BINARY,
        examples=[examples.FILE_BODY],
    )
    def post(self, request: Request) -> HttpResponse:
        """Solve and send a file."""
        values = self.read_body(shapes.PlanFileBody)
        name, kind, content = inference.transport_file(values, values.pop("format"))
        headers = {
            "Content-Disposition": f'attachment; filename="{name}"',
            "X-Content-Type-Options": "nosniff",
        }
        return HttpResponse(content, content_type=kind, headers=headers)


class TransportSweepView(ApiView):
    reads_only = True

    @extend_schema(
        operation_id="transport_sweep",
        tags=["transport"],
        summary="What ε does: Sinkhorn at seven strengths beside the exact plan",
        request=shapes.SweepBody,
        responses=shapes.SweepAnswer,
        examples=[examples.SWEEP_BODY, examples.SWEEP],
    )
    def post(self, request: Request) -> Response:
        """Sweep."""
        return Response(inference.transport_sweep(self.read_body(shapes.SweepBody)))


class TransportMapView(ApiView):
    reads_only = True

    @extend_schema(
        operation_id="transport_map",
        tags=["transport"],
        summary="A Monge map between two clouds of the plane, learnt while you wait",
        description=(
            "A small network is fitted by a Sinkhorn divergence with the Monge gap beside it and measured on points "
            "that it does not see. The training ends after `seconds` at the latest; few run at the same time, and "
            "further ones are answered 503. Larger maps: python -m mlcore train monge."
        ),
        request=shapes.MapBody,
        responses=shapes.MapAnswer,
        examples=[examples.MAP_BODY, examples.MAP],
    )
    def post(self, request: Request) -> Response:
        """Train."""
        return Response(inference.transport_map(self.read_body(shapes.MapBody)))


class TransportMapEstimateView(ApiView):
    reads_only = True

    @extend_schema(
        operation_id="transport_map_estimate",
        tags=["transport"],
        summary="The memory and time that learning a map will need",
        request=shapes.MapBody,
        responses=shapes.MapEstimate,
        examples=[examples.MAP_BODY, examples.MAP_ESTIMATE],
    )
    def post(self, request: Request) -> Response:
        """Estimate."""
        return Response(inference.transport_map_estimate(self.read_body(shapes.MapBody)))


class TransportSolversView(ApiView):
    @extend_schema(
        operation_id="transport_solvers",
        tags=["transport"],
        summary="Solvers, costs and sampled clouds by name, with parameters, defaults and limits",
        responses=shapes.SolversAnswer,
        examples=[examples.SOLVERS],
    )
    def get(self, request: Request) -> Response:
        """List them."""
        self.read_query(NoParameters)
        return Response(inference.transport_solvers())
