"""What every view of the API shares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView

from webapp.api.problems import request_id
from webapp.api.serializers.parameters import NoParameters


class ApiView(APIView):
    """An address of the API. ``reads_only`` marks those whose POST changes nothing (they need no log-in)."""

    reads_only = False

    def read_query(self, serializer: Callable[..., BaseSerializer]) -> dict[str, Any]:
        """The validated query string. Raises ValidationError naming every faulty parameter."""
        return _valid(serializer(data=self.request.query_params))

    def read_body(self, serializer: Callable[..., BaseSerializer]) -> dict[str, Any]:
        """The validated body; a query string beside it is refused rather than ignored."""
        if self.request.query_params:
            _valid(NoParameters(data=self.request.query_params))
        return _valid(serializer(data=self.request.data))

    def finalize_response(self, request: HttpRequest, response: Response, *args: Any, **kwargs: Any) -> Any:
        """The response with the id under which the server's log knows it."""
        response = super().finalize_response(request, response, *args, **kwargs)
        response.headers.setdefault("X-Request-ID", request_id(request))
        response.headers.setdefault("Cache-Control", "private, no-cache")
        return response


def _valid(serializer: BaseSerializer) -> dict[str, Any]:
    serializer.is_valid(raise_exception=True)
    return serializer.validated_data
