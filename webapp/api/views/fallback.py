"""Addresses that do not exist."""

from __future__ import annotations

import difflib
from typing import Any

from django.http import HttpResponseRedirect
from django.urls import Resolver404, get_resolver, resolve
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from webapp.api.views.base import ApiView
from workers.errors import NotFound


class FallbackView(ApiView):
    """Whatever else is asked for below /api/: a missing last slash is mended, the rest is a 404 problem."""

    permission_classes = ()
    throttle_classes = ()

    @extend_schema(exclude=True)
    def _answer(self, request: Request, path: str = "") -> HttpResponseRedirect:
        if not request.path.endswith("/") and self._exists(f"{request.path_info}/"):
            query = request.META.get("QUERY_STRING", "")
            target = f"{request.path}/{'?' if query else ''}{query}"
            return HttpResponseRedirect(target, preserve_request=True)
        near = difflib.get_close_matches(path.strip("/"), _simple_addresses(), n=1, cutoff=0.6)
        hint = f"Did you mean /api/{near[0]}/?" if near else "The addresses are listed at /api/docs/."
        raise NotFound(f"There is nothing at this address. {hint}")

    get = post = put = patch = delete = _answer

    def _exists(self, path: str) -> bool:
        try:
            return resolve(path).url_name != "fallback"
        except Resolver404:
            return False


def _simple_addresses() -> list[str]:
    """The addresses below /api/ without variable parts, for the hint."""
    patterns: Any = get_resolver("webapp.api.urls").reverse_dict.lists()
    found = {
        template for _, entries in patterns for entry in entries for template, names in entry[0] if not names
    }
    return sorted(address.strip("/") for address in found if address.strip("/"))
