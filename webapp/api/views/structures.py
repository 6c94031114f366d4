"""From structures and lists to what is known about them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.api import examples
from webapp.api.access import readable
from webapp.api.serializers import answers
from webapp.api.serializers.bodies import DescribeBody, LookupBody
from webapp.api.views.base import ApiView
from workers import inference


class DescribeView(ApiView):
    reads_only = True

    @extend_schema(
        operation_id="describe",
        tags=["structures"],
        summary="The texts that describe a structure",
        request=DescribeBody,
        responses=answers.DescribeAnswer,
        examples=[examples.DESCRIBE_BODY, examples.DESCRIBE],
    )
    def post(self, request: Request) -> Response:
        """From a molecule to texts."""
        values = self.read_body(DescribeBody)
        chosen = readable(request, values.get("library", ()))
        return Response(inference.describe(values["structure"], libraries=chosen, k=values["k"]))


class LookupView(ApiView):
    reads_only = True

    @extend_schema(
        operation_id="lookup",
        tags=["structures"],
        summary="Look up a list of names, SMILES, InChI or InChIKeys",
        description="Takes {items: […]} or the bare list. One entry comes back per item, in the same order.",
        request=LookupBody,
        responses=answers.LookupAnswer,
        examples=[examples.LOOKUP_BODY, examples.LOOKUP],
    )
    def post(self, request: Request) -> Response:
        """Look up a list."""
        values = self.read_body(_lookup_body)
        chosen = readable(request, values.get("library", ()))
        return Response(inference.lookup(values["items"], libraries=chosen))


def _lookup_body(data: Any) -> LookupBody:
    return LookupBody(data={"items": data} if isinstance(data, list) else data)
