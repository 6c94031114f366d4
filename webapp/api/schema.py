"""The OpenAPI schema: problem details on every operation, and the word that no log-in is needed where none is."""

from __future__ import annotations

from typing import Any

from drf_spectacular.openapi import AutoSchema
from rest_framework.permissions import SAFE_METHODS

from webapp.api.access import ReadOrMember
from webapp.api.problems import CONTENT_TYPE

PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "Problem details (RFC 9457).",
    "required": ["type", "title", "status", "detail", "instance", "errors", "request_id"],
    "properties": {
        "type": {"type": "string", "description": "The kind of problem, as urn:ferry:problem:bad-input."},
        "title": {"type": "string", "description": "The kind in words."},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What was wrong and what to do."},
        "instance": {"type": "string", "description": "The address that was asked for."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message", "remedy"],
                "properties": {
                    "field": {"type": "string", "nullable": True},
                    "message": {"type": "string"},
                    "remedy": {"type": "string", "nullable": True},
                },
            },
        },
        "request_id": {"type": "string", "description": "Stands in the server's log beside the cause."},
    },
}

EXAMPLE = {
    "type": "urn:ferry:problem:bad-input",
    "title": "The input cannot be used",
    "status": 400,
    "detail": "k: Too large: the limit is 200.",
    "instance": "/api/v1/search/",
    "errors": [{"field": "k", "message": "Too large: the limit is 200.", "remedy": None}],
    "request_id": "3f0c6ac1b5ce4df4a4f4b8f2a5f0e0b1",
}


class OpenSchema(AutoSchema):
    """Says of every operation how to log in, and of those that anybody may ask that one need not."""

    def get_auth(self) -> list[dict[str, Any]]:
        """The ways to log in, any one of which will do; an empty one where none is needed."""
        found = [way for way in super().get_auth() if way]
        reads = self.method in SAFE_METHODS or getattr(self.view, "reads_only", False)
        public = reads and ReadOrMember in self.view.permission_classes
        return [*found, {}] if public else found


def add_problems(result: dict[str, Any], **_: object) -> dict[str, Any]:
    """Postprocessing hook: every operation may answer with a problem."""
    result.setdefault("components", {}).setdefault("schemas", {})["Problem"] = PROBLEM
    content = {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": EXAMPLE}}
    for operations in result["paths"].values():
        for operation in operations.values():
            operation["responses"]["default"] = {
                "description": "Anything that went wrong.",
                "content": content,
            }
    return result
