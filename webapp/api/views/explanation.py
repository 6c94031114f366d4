"""Why a molecule was found, and why one stands above another."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.api import examples
from webapp.api.access import readable
from webapp.api.serializers import answers
from webapp.api.serializers.parameters import ComparisonParameters, ExplanationParameters
from webapp.api.views.base import ApiView
from workers import inference


class ExplanationView(ApiView):
    @extend_schema(
        operation_id="explanation",
        tags=["explanation"],
        summary="Which words of a query match which parts of a molecule",
        description="The transport plan between words and motifs, its strongest links, and a score per atom.",
        parameters=[ExplanationParameters],
        responses=answers.ExplanationAnswer,
        examples=[examples.EXPLANATION],
    )
    def get(self, request: Request) -> Response:
        """Explain one pair."""
        values = self.read_query(ExplanationParameters)
        readable(request, [values["library"]])
        return Response(inference.explain(values["q"], values["library"], values["id"]))


class ComparisonView(ApiView):
    @extend_schema(
        operation_id="comparison",
        tags=["explanation"],
        summary="Why one hit stands above another",
        parameters=[ComparisonParameters],
        responses=answers.ComparisonAnswer,
        examples=[examples.COMPARISON],
    )
    def get(self, request: Request) -> Response:
        """Compare two hits of one query."""
        values = self.read_query(ComparisonParameters)
        readable(request, [values["library"]])
        return Response(inference.compare(values["q"], values["library"], values["first"], values["second"]))
