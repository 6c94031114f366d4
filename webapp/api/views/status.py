"""How the installation stands, for programs."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.api.serializers.parameters import NoParameters
from webapp.api.views.base import ApiView
from workers import status


class Runs(BasePermission):
    """Administrators."""

    message = "Only administrators see how the installation stands."

    def has_permission(self, request: Request, view: ApiView) -> bool:
        """Whether the account has the right to see the audit trail, which administrators have."""
        return request.user.has_perm("workers.view_auditentry")


class InstallationAnswer(serializers.Serializer):
    """Times are ISO 8601, sizes bytes, ages seconds."""

    versions = serializers.DictField(child=serializers.CharField(allow_null=True))
    database = serializers.DictField(help_text="engine, name, bytes, pending (migrations not applied)")
    broker = serializers.DictField(help_text="kind, reachable, message, waiting")
    queues = serializers.ListField(
        child=serializers.DictField(), help_text="queue, waiting, running, oldest_waiting, workers, needed"
    )
    workers = serializers.ListField(
        child=serializers.DictField(), help_text="name, queues, facts, started, seen, silent_for, alive"
    )
    models = serializers.ListField(
        child=serializers.DictField(), help_text="area, slot, version (0: shipped), hash, present"
    )
    libraries = serializers.DictField(help_text="ready, stale, importing, failed, stale_ids, message")
    disk = serializers.DictField(help_text="kinds (kind, title, bytes), free, total, folder")
    last_backup = serializers.DictField(
        allow_null=True, help_text="file, bytes, created, seconds, ferry, age"
    )
    notices = serializers.ListField(child=serializers.CharField())
    settings = serializers.ListField(
        child=serializers.DictField(), help_text="name, value (secrets masked), origin"
    )
    troubles = serializers.ListField(child=serializers.CharField(), help_text="What needs a look, in words.")
    time = serializers.DateTimeField()


class StatusView(ApiView):
    permission_classes = (IsAuthenticated, Runs)

    @extend_schema(
        operation_id="status",
        tags=["operation"],
        summary="How the installation stands",
        responses=InstallationAnswer,
        examples=[OpenApiExample("status", value={"troubles": []}, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        """All of it."""
        self.read_query(NoParameters)
        found = status.report()
        return Response({**found, "troubles": status.troubles(found)})
