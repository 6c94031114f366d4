"""What the addresses of models read, and the shapes of what they answer."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils import timezone
from rest_framework import serializers

from webapp.api.serializers.fields import StrictSerializer, YesNo, several, text, whole

MOST_COMPARED = 8
LARGEST_ID = 2**63 - 1


def _word(pattern: str, words: str, **options: Any) -> serializers.RegexField:
    """Text of one form, said in words where it does not fit."""
    messages = {
        "invalid": words,
        "required": "This is missing. Give a text.",
        "null": "This is null. Give a text.",
    }
    return serializers.RegexField(pattern, trim_whitespace=False, error_messages=messages, **options)


def _area(**options: Any) -> serializers.RegexField:
    words = "Not an area. Areas are in models/, as retrieval."
    return _word(r"^[A-Za-z0-9_-]{1,40}\Z", words, help_text="Such as retrieval or monge.", **options)


def _slot(**options: Any) -> serializers.RegexField:
    words = "Not a slot. Slots are in models/; most areas have one, the empty one."
    shown = "The slot in models/; empty where an area has only one."
    return _word(r"^[A-Za-z0-9_.-]{0,60}\Z", words, allow_blank=True, help_text=shown, **options)


class CompareParameters(StrictSerializer):
    version = several(
        _word(
            r"^([0-9]{1,18}|shipped:[A-Za-z0-9_-]{1,40}(/[A-Za-z0-9_.-]{1,60})?)\Z",
            "Neither the id of a version nor shipped:AREA. The ids are in models/.",
        ),
        MOST_COMPARED,
        required=True,
        min_length=2,
        help_text="Id of a version, or shipped:AREA for the model that ships with Ferry; repeat it, from two to eight.",
    )

    def validate_version(self, value: list[str]) -> list[str]:
        """Refuse the same one twice."""
        if len(set(value)) < len(value):
            raise serializers.ValidationError("One of them is given twice. Give different ones.")
        return value


class PromotionsParameters(StrictSerializer):
    """Which changes to list, and the moment that is asked about."""

    area = _area(required=False)
    slot = _slot(required=False)
    at = serializers.DateTimeField(
        required=False,
        help_text="With area: served says which version answered then, and later changes are left out.",
        error_messages={"invalid": "Not a date and time. Write it as 2026-05-03T14:00:00Z."},
    )
    offset = whole(0, 1_000_000, default=0, help_text="How many to skip.")
    k = whole(1, 200, default=50, help_text="How many to send.")

    def validate_at(self, value: datetime) -> datetime:
        """Nothing has answered in the future yet."""
        if value > timezone.now():
            raise serializers.ValidationError("This time has not come yet.")
        return value

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        """A moment needs a model."""
        if "at" in values and "area" not in values:
            raise serializers.ValidationError({"area": "This is missing: which model is asked about?"})
        return values


class WhyBody(StrictSerializer):
    why = text(500, required=True, help_text="A sentence; it is kept in the history, with your name.")

    def validate_why(self, value: str) -> str:
        """Refuse a reason of nothing but space."""
        if not value.strip():
            raise serializers.ValidationError("This is empty. A short sentence will do.")
        return value


class PromoteBody(WhyBody):
    """Why, and the evaluation that it rests on."""

    evaluation = whole(
        1, LARGEST_ID, required=False, help_text="Id of an evaluation of this version: what it rests on."
    )
    unmeasured = YesNo(default=False, help_text="True: promoted without an evaluation, and that is meant.")

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        """One of the two."""
        if ("evaluation" in values) == values["unmeasured"]:
            raise serializers.ValidationError(
                {"evaluation": "Give the evaluation that it rests on, or unmeasured=true: one of the two."}
            )
        return values


class PlaceBody(WhyBody):
    """An area and slot, and why what answers there is to change."""

    area = _area(required=True)
    slot = _slot(default="")


class ModelLine(serializers.Serializer):
    """A version in a list."""

    id = serializers.IntegerField()
    version = serializers.IntegerField(help_text="Counts within its area and slot.")
    active = serializers.BooleanField(help_text="Whether it answers now.")
    hash = serializers.CharField(allow_blank=True, help_text="sha256 of the weights.")
    bytes = serializers.IntegerField(help_text="Of its folder.")
    created = serializers.DateTimeField()
    job = serializers.CharField(allow_null=True, help_text="The job that made it, while that is there.")
    parent = serializers.IntegerField(allow_null=True, help_text="The version that it was made from.")
    metrics = serializers.DictField(
        child=serializers.FloatField(), help_text="Figures of its latest evaluation; none: never evaluated."
    )


class ShippedModel(serializers.Serializer):
    hash = serializers.CharField(allow_blank=True)
    metrics = serializers.DictField(child=serializers.FloatField(), help_text="Figures of its card.")


class ModelPlace(serializers.Serializer):
    area = serializers.CharField()
    slot = serializers.CharField(allow_blank=True)
    place = serializers.CharField(help_text="Both as one word.")
    answers = serializers.IntegerField(
        allow_null=True,
        help_text="Number of the version that answers; 0: the shipped model; null: nothing does.",
    )
    shipped = ShippedModel(allow_null=True, help_text="The model that ships with Ferry, where one does.")
    versions = ModelLine(many=True, help_text="The latest first.")


class ModelList(serializers.Serializer):
    models = ModelPlace(many=True)


class EvaluationInfo(serializers.Serializer):
    id = serializers.IntegerField()
    metrics = serializers.DictField(help_text="Name and value of each figure.")
    data = serializers.ListField(
        child=serializers.DictField(), help_text="Name, use and sha256 of each file that it rests on."
    )
    command = serializers.CharField(allow_blank=True, help_text="What measures the same again.")
    job = serializers.CharField(allow_null=True)
    created = serializers.DateTimeField()


class PromotionInfo(serializers.Serializer):
    """One change of what answers. Version numbers count within area and slot; 0 is the shipped model."""

    id = serializers.IntegerField()
    area = serializers.CharField()
    slot = serializers.CharField(allow_blank=True)
    before = serializers.IntegerField()
    before_hash = serializers.CharField(allow_blank=True)
    after = serializers.IntegerField()
    after_hash = serializers.CharField(allow_blank=True)
    who = serializers.CharField()
    why = serializers.CharField()
    evidence = serializers.DictField(help_text="The evaluation that it rests on, as it was then.")
    created = serializers.DateTimeField()


class ModelFull(ModelLine):
    area = serializers.CharField()
    slot = serializers.CharField(allow_blank=True)
    place = serializers.CharField()
    card = serializers.DictField(
        help_text="What it is, data and licence, figures with their command, revision."
    )
    configuration = serializers.DictField(
        help_text="What it was made with: of the model, of its job, of the training."
    )
    children = serializers.ListField(
        child=serializers.IntegerField(), help_text="Versions that were made from it."
    )
    evaluations = EvaluationInfo(many=True, help_text="The latest first.")
    promotions = PromotionInfo(many=True, help_text="Changes to it and away from it, the latest first.")
    may = serializers.ListField(
        child=serializers.ChoiceField(choices=["promote", "delete"]), help_text="What you may do with it now."
    )


class ComparedVersion(serializers.Serializer):
    key = serializers.CharField(help_text="As it was asked for.")
    label = serializers.CharField()
    measured_on = serializers.CharField(
        allow_blank=True, help_text="The data of its latest evaluation: figures on other data do not compare."
    )
    job = serializers.CharField(allow_null=True, help_text="Its curves are at jobs/<id>/metrics/.")


class ComparedFigure(serializers.Serializer):
    source = serializers.CharField(help_text="Latest evaluation, or Card.")
    name = serializers.CharField()
    values = serializers.ListField(
        child=serializers.FloatField(allow_null=True), help_text="One for each version; null: not measured."
    )


class ComparedParameter(serializers.Serializer):
    name = serializers.CharField()
    values = serializers.ListField(child=serializers.JSONField(allow_null=True))


class ModelComparison(serializers.Serializer):
    versions = ComparedVersion(many=True)
    metrics = ComparedFigure(many=True)
    parameters = ComparedParameter(many=True, help_text="Only those that are not the same in all.")


class Served(serializers.Serializer):
    area = serializers.CharField()
    slot = serializers.CharField(allow_blank=True)
    at = serializers.DateTimeField()
    version = serializers.IntegerField(help_text="0: the model that ships with Ferry.")
    hash = serializers.CharField(allow_blank=True)


class PromotionList(serializers.Serializer):
    promotions = PromotionInfo(many=True, help_text="The latest first.")
    total = serializers.IntegerField()
    offset = serializers.IntegerField()
    k = serializers.IntegerField()
    served = Served(allow_null=True, help_text="With at: what answered then.")
