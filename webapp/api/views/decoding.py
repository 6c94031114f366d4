"""Decoding with the language models: what can be asked, answers whole and as a stream, estimates, the frontier."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from django.http import HttpRequest, StreamingHttpResponse
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.api import decoding_examples as examples
from webapp.api.problems import of_door
from webapp.api.serializers import decoding as shapes
from webapp.api.serializers.parameters import NoParameters
from webapp.api.views.base import ApiView
from webapp.streaming import Event, stream
from workers import inference
from workers.errors import BadInput, Busy, NotFound


class DecodingView(ApiView):
    @extend_schema(
        operation_id="decoding",
        tags=["decoding"],
        summary="Tasks, methods, sampling and rewards, with parameters, defaults and limits; the models in use",
        responses=shapes.DescribeDecoding,
        examples=[examples.DESCRIBE],
    )
    def get(self, request: Request) -> Response:
        """List them."""
        self.read_query(NoParameters)
        try:
            models = inference.decoding_models()
        except NotFound:
            models = None
        return Response({**inference.decoding_describe(), "models": models})


class DecodingEstimateView(ApiView):
    reads_only = True

    @extend_schema(
        operation_id="decoding_estimate",
        tags=["decoding"],
        summary="The memory and time that a decoding will need",
        request=shapes.DecodingBody,
        responses=shapes.DecodingEstimate,
        examples=[examples.BODY, examples.ESTIMATE],
    )
    def post(self, request: Request) -> Response:
        """Estimate."""
        return Response(inference.decoding_estimate(self.read_body(shapes.DecodingBody)))


class DecodingGenerateView(ApiView):
    reads_only = True

    @extend_schema(
        operation_id="decoding_generate",
        tags=["decoding"],
        summary="Answers by up to four methods, with their counts and speeds",
        description=(
            "Lanes run one after another, plain sampling first, and speeds are compared on this prompt. Few decodings "
            "run at the same time; further ones are answered 503 with Retry-After. What would look ahead for minutes "
            "is refused: python -m mlcore generate does it on your own machine."
        ),
        request=shapes.DecodingBody,
        responses=shapes.DecodingAnswer,
        examples=[examples.BODY, examples.GUIDED_BODY, examples.ANSWER],
    )
    def post(self, request: Request) -> Response:
        """Generate."""
        return Response(inference.decoding_generate(self.read_body(shapes.DecodingBody)))


class DecodingStreamView(ApiView):
    reads_only = True

    @extend_schema(
        operation_id="decoding_stream",
        tags=["decoding"],
        summary="The same token by token, as server-sent events",
        description=(
            "`opened` with the models and the lanes; for each lane `drafted` with what the draft proposes, `token` for "
            "every token, `done` with text and counts; `closed` with the comparison. The data of an event is JSON and "
            "names it again as `event`. What is wrong with the request is answered as a problem; what goes wrong later "
            "is the last event, `problem`. Closing the connection stops the decoding within a token."
        ),
        request=shapes.DecodingBody,
        responses={
            (200, "text/event-stream"): OpenApiResponse(
                shapes.DecodingEvent, description="Server-sent events."
            )
        },
        examples=[examples.BODY],
    )
    def post(self, request: Request) -> StreamingHttpResponse:
        """Stream."""
        left = threading.Event()
        events = inference.decoding_watch(self.read_body(shapes.DecodingBody), left.is_set)
        first = next(events)  # faults of the request are raised here, before an answer has begun
        return stream(request._request, _told(request._request, itertools.chain([first], events)), left.set)


class DecodingFrontierView(ApiView):
    reads_only = True

    @extend_schema(
        operation_id="decoding_frontier",
        tags=["decoding"],
        summary="Reward against distance from the model: a guided method at seven α, and best-of-N",
        description=(
            "The first guided lane says which method and parameters. Rows are means over `repeats` answers; `matched` "
            "is the N whose answers take as many generated tokens."
        ),
        request=shapes.DecodingBody,
        responses=shapes.FrontierAnswer,
        examples=[examples.GUIDED_BODY, examples.FRONTIER],
    )
    def post(self, request: Request) -> Response:
        """Compute it."""
        return Response(inference.decoding_frontier(self.read_body(shapes.DecodingBody)))


def _told(request: HttpRequest, events: Iterator[Mapping[str, Any]]) -> Iterator[Event]:
    """``events`` under their names; a fault on the way is the last, as a problem document."""
    try:
        for event in events:
            yield Event(str(event["event"]), event)
    except (BadInput, Busy, NotFound) as error:
        yield Event("problem", {"event": "problem", **(of_door(request, error) or {})})
