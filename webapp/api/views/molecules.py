"""One molecule of a library, and what is near it."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.api import examples
from webapp.api.access import check_readable
from webapp.api.serializers import answers
from webapp.api.serializers.parameters import NeighbourParameters, NoParameters
from webapp.api.views.base import ApiView
from workers import inference


class MoleculeView(ApiView):
    @extend_schema(
        operation_id="molecule",
        tags=["molecules"],
        summary="One molecule with its properties, identifiers, texts and motifs",
        parameters=[examples.LIBRARY, examples.MOLECULE_ID],
        responses=answers.MoleculeAnswer,
        examples=[examples.MOLECULE],
    )
    def get(self, request: Request, library: str, identifier: str) -> Response:
        """One molecule."""
        self.read_query(NoParameters)
        check_readable(request, library)
        return Response(inference.molecule(library, identifier))


class NeighboursView(ApiView):
    @extend_schema(
        operation_id="neighbours",
        tags=["molecules"],
        summary="The molecules nearest to one molecule",
        parameters=[examples.LIBRARY, examples.MOLECULE_ID, NeighbourParameters],
        responses=answers.NeighboursAnswer,
        examples=[examples.NEIGHBOURS],
    )
    def get(self, request: Request, library: str, identifier: str) -> Response:
        """Its neighbours."""
        values = self.read_query(NeighbourParameters)
        check_readable(request, library)
        return Response(inference.neighbours(library, identifier, k=values["k"]))
