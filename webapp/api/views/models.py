"""Model versions: what answers where, comparing, promoting, rolling back, deleting, and what answered when."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.api import model_examples as examples
from webapp.api import model_facts
from webapp.api.access import Entitled
from webapp.api.paging import links
from webapp.api.problems import BadParameter
from webapp.api.serializers import models as shapes
from webapp.api.serializers.parameters import NoParameters
from webapp.api.views.base import ApiView
from workers import registry, removal
from workers.models import Evaluation, ModelVersion

READ = ("workers.view_modelversion",)
CHANGE = (*READ, "workers.change_modelversion")
DELETE = (*READ, "workers.delete_modelversion")
RELOAD = (
    "The server takes up the change within seconds; requests under way end with the model they began with."
)


class ModelsView(ApiView):
    permission_classes = (Entitled,)
    rights = {"GET": READ}

    @extend_schema(
        operation_id="models",
        tags=["models"],
        summary="What answers in every area and slot, and the versions there are",
        description="For trainers.",
        responses=shapes.ModelList,
        examples=[examples.MODELS],
    )
    def get(self, request: Request) -> Response:
        """List them."""
        self.read_query(NoParameters)
        return Response({"models": model_facts.listing()})


class ModelView(ApiView):
    permission_classes = (Entitled,)
    rights = {"GET": READ, "DELETE": DELETE}

    @extend_schema(
        operation_id="model",
        tags=["models"],
        summary="A version: its card, what it was made with and from, what it scored",
        description="For trainers.",
        parameters=[examples.MODEL_ID],
        responses=shapes.ModelFull,
        examples=[examples.MODEL],
    )
    def get(self, request: Request, version: int) -> Response:
        """Everything about it."""
        self.read_query(NoParameters)
        return Response(model_facts.full(registry.get(version), request.user))

    @extend_schema(
        operation_id="model_delete",
        tags=["models"],
        summary="Delete a version with its files",
        description="For administrators. Refused for one that answers, or that another version was made from.",
        parameters=[examples.MODEL_ID],
        responses={204: OpenApiResponse(description="It is gone.")},
    )
    def delete(self, request: Request, version: int) -> Response:
        """Delete it."""
        self.read_query(NoParameters)
        removal.delete_version(registry.get(version), request.user)
        return Response(status=204)


class ModelCompareView(ApiView):
    permission_classes = (Entitled,)
    rights = {"GET": READ}

    @extend_schema(
        operation_id="models_compare",
        tags=["models"],
        summary="Versions side by side: figures, and the parameters that differ",
        description="For trainers. Take the curves from the jobs that made them.",
        parameters=[shapes.CompareParameters],
        responses=shapes.ModelComparison,
        examples=[examples.COMPARISON],
    )
    def get(self, request: Request) -> Response:
        """Compare them."""
        return Response(model_facts.compared(self.read_query(shapes.CompareParameters)["version"]))


class ModelPromoteView(ApiView):
    permission_classes = (Entitled,)
    rights = {"POST": CHANGE}

    @extend_schema(
        operation_id="model_promote",
        tags=["models"],
        summary="Make a version the one that answers",
        description="For administrators. What answered before stays for rolling back. " + RELOAD,
        parameters=[examples.MODEL_ID],
        request=shapes.PromoteBody,
        responses=shapes.PromotionInfo,
        examples=[examples.PROMOTE_BODY, examples.PROMOTION],
    )
    def post(self, request: Request, version: int) -> Response:
        """Promote it."""
        values = self.read_body(shapes.PromoteBody)
        found = registry.get(version)
        evidence = _evaluation(found, values["evaluation"]) if "evaluation" in values else None
        change = registry.promote(
            found, request.user, values["why"], evidence, unmeasured=values["unmeasured"]
        )
        return Response(model_facts.promotion(change))


class ModelRollBackView(ApiView):
    permission_classes = (Entitled,)
    rights = {"POST": CHANGE}

    @extend_schema(
        operation_id="models_roll_back",
        tags=["models"],
        summary="Put back what answered before the last change",
        description="For administrators. " + RELOAD,
        request=shapes.PlaceBody,
        responses=shapes.PromotionInfo,
        examples=[examples.PLACE_BODY, examples.ROLLED_BACK],
    )
    def post(self, request: Request) -> Response:
        """Roll back."""
        values = self.read_body(shapes.PlaceBody)
        change = registry.roll_back(values["area"], values["slot"], request.user, values["why"])
        return Response(model_facts.promotion(change))


class ModelRetireView(ApiView):
    permission_classes = (Entitled,)
    rights = {"POST": CHANGE}

    @extend_schema(
        operation_id="models_retire",
        tags=["models"],
        summary="Go back to the model that ships with Ferry",
        description="For administrators. " + RELOAD,
        request=shapes.PlaceBody,
        responses=shapes.PromotionInfo,
        examples=[examples.PLACE_BODY, examples.RETIRED],
    )
    def post(self, request: Request) -> Response:
        """Retire what answers."""
        values = self.read_body(shapes.PlaceBody)
        change = registry.retire(values["area"], values["slot"], request.user, values["why"])
        return Response(model_facts.promotion(change))


class PromotionsView(ApiView):
    permission_classes = (Entitled,)
    rights = {"GET": (*READ, "workers.view_promotion")}

    @extend_schema(
        operation_id="promotions",
        tags=["models"],
        summary="Every change of what answers, and which version answered at some moment",
        description="For trainers. The history only grows; it stays when a version is deleted.",
        parameters=[shapes.PromotionsParameters],
        responses=shapes.PromotionList,
        examples=[examples.PROMOTIONS],
    )
    def get(self, request: Request) -> Response:
        """List them."""
        found = model_facts.history(self.read_query(shapes.PromotionsParameters))
        return Response(found, headers=links(request, found))


def _evaluation(version: ModelVersion, pk: int) -> Evaluation:
    found = version.evaluations.filter(pk=pk).first()
    if found is None:
        raise BadParameter(
            f"This version has no evaluation {pk}.", field="evaluation", remedy="See those of models/<id>/."
        )
    return found
